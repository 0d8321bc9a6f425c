package awsapi

import "context"

func (a *API) stsOperations() []operation {
	return []operation{{name: "GetCallerIdentity", status: 200, handle: a.getCallerIdentity}}
}

// getCallerIdentity names the account: an access key of this server stands for
// the whole of it.
func (a *API) getCallerIdentity(context.Context, *request) (any, error) {
	id := a.cfg.Account.ID
	return struct {
		Arn     string
		UserID  string `xml:"UserId"`
		Account string
	}{"arn:aws:iam::" + id + ":root", id, id}, nil
}
