package awsapi

import (
	"context"
)

// stsService answers GetCallerIdentity in every region: the answer has none.
func (a *API) stsService() *service {
	operations := []operation{{name: "GetCallerIdentity", status: 200, handle: a.getCallerIdentity}}
	return &service{
		label: "sts", title: "AWS STS", anyRegion: true,
		wire: query{"https://sts.amazonaws.com/doc/2011-06-15/"}, words: stsWords(),
		find: func(q *request) (operation, error) {
			action := q.form().Get("Action")
			for _, op := range operations {
				if op.name == action {
					return op, nil
				}
			}
			if action == "" {
				return operation{}, &fault{"MissingAction", "The request has no Action parameter."}
			}
			return operation{}, unsupported("AWS STS", action)
		},
	}
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
