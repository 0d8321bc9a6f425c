package awsapi

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxTags is how many tags a resource may have.
const maxTags = 50

func (a *API) logTagOperations() []operation {
	return []operation{
		{name: "TagResource", status: 200, handle: a.tagLogResource},
		{name: "UntagResource", status: 200, handle: a.untagLogResource},
		{name: "ListTagsForResource", status: 200, handle: a.listLogResourceTags},
		{name: "TagLogGroup", status: 200, handle: a.tagLogGroup},
		{name: "UntagLogGroup", status: 200, handle: a.untagLogGroup},
		{name: "ListTagsLogGroup", status: 200, handle: a.listLogGroupTags},
	}
}

// logTags are the members of the tag operations: newer ones name the group by its
// ARN, older ones by its name.
type logTags struct {
	ResourceARN  string            `json:"resourceArn"`
	LogGroupName string            `json:"logGroupName"`
	Tags         map[string]string `json:"tags"`
	TagKeys      []string          `json:"tagKeys"` // of UntagResource
}

// tagsAnswer is the answer of both lists of tags.
type tagsAnswer struct {
	Tags map[string]string `json:"tags"`
}

func checkLogTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return fmt.Errorf("a log group has at most %d tags, not %d: %w", maxTags, len(tags), iot.ErrInvalid)
	}
	for key, value := range tags {
		if err := checkTag("tags", key, value); err != nil {
			return err
		}
	}
	return nil
}

// checkTag checks a key and value of a tag; keys that begin with aws: are AWS's.
func checkTag(member, key, value string) error {
	const pattern = `satisfy regular expression pattern: ([\p{L}\p{Z}\p{N}_.:/=+\-@]*)`
	other := func(r rune) bool { return !tagRune(r) }
	switch {
	case key == "":
		return unmet(member, key, "have length greater than or equal to 1")
	case utf8.RuneCountInString(key) > 128:
		return unmet(member, key, "have length less than or equal to 128")
	case utf8.RuneCountInString(value) > 256:
		return unmet(member, value, "have length less than or equal to 256")
	case strings.ContainsFunc(key, other):
		return unmet(member, key, pattern)
	case strings.ContainsFunc(value, other):
		return unmet(member, value, pattern)
	case strings.HasPrefix(strings.ToLower(key), "aws:"):
		return fmt.Errorf("the tag key %q begins with aws:, which is reserved: %w", key, iot.ErrInvalid)
	}
	return nil
}

// decodeLogTags reads a tag request by ARN.
func (a *API) decodeLogTags(q *request) (in logTags, err error) {
	if err := q.decode(&in); err != nil {
		return in, err
	}
	if in.ResourceARN == "" {
		return in, required("resourceArn")
	}
	in.LogGroupName, err = a.logGroupOf(in.ResourceARN)
	return in, err
}

// decodeGroupTags reads a tag request by name.
func (q *request) decodeGroupTags() (in logTags, err error) {
	if err := q.decode(&in); err != nil {
		return in, err
	}
	return in, checkLogGroup("logGroupName", in.LogGroupName)
}

func (a *API) tagLogResource(_ context.Context, q *request) (any, error) {
	in, err := a.decodeLogTags(q)
	if err != nil {
		return nil, err
	}
	return empty{}, a.addLogTags(in, "TooManyTagsException")
}

func (a *API) tagLogGroup(_ context.Context, q *request) (any, error) {
	in, err := q.decodeGroupTags()
	if err != nil {
		return nil, err
	}
	return empty{}, a.addLogTags(in, "InvalidParameterException")
}

// addLogTags adds tags, or fails with the code tooMany.
func (a *API) addLogTags(in logTags, tooMany string) error {
	if len(in.Tags) == 0 {
		return required("tags")
	}
	if err := checkLogTags(in.Tags); err != nil {
		return err
	}
	return a.cfg.Logs.Groups.UpdateGroup(in.LogGroupName, func(g *iot.LogGroup) error {
		tags := make(map[string]string)
		maps.Copy(tags, g.Tags)
		maps.Copy(tags, in.Tags)
		if len(tags) > maxTags {
			return newFault(tooMany, fmt.Sprintf("the log group %q would have %d tags; at most %d are allowed", g.Name, len(tags), maxTags))
		}
		g.Tags = tags
		return nil
	})
}

func (a *API) untagLogResource(_ context.Context, q *request) (any, error) {
	in, err := a.decodeLogTags(q)
	if err != nil {
		return nil, err
	}
	return empty{}, a.removeLogTags(in.LogGroupName, in.TagKeys, "tagKeys")
}

func (a *API) untagLogGroup(_ context.Context, q *request) (any, error) {
	var in struct {
		LogGroupName string   `json:"logGroupName"`
		Tags         []string `json:"tags"`
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := checkLogGroup("logGroupName", in.LogGroupName); err != nil {
		return nil, err
	}
	return empty{}, a.removeLogTags(in.LogGroupName, in.Tags, "tags")
}

func (a *API) removeLogTags(group string, keys []string, member string) error {
	if len(keys) == 0 {
		return required(member)
	}
	return a.cfg.Logs.Groups.UpdateGroup(group, func(g *iot.LogGroup) error {
		for _, key := range keys {
			delete(g.Tags, key)
		}
		return nil
	})
}

func (a *API) listLogResourceTags(_ context.Context, q *request) (any, error) {
	in, err := a.decodeLogTags(q)
	if err != nil {
		return nil, err
	}
	return a.logTags(in.LogGroupName)
}

func (a *API) listLogGroupTags(_ context.Context, q *request) (any, error) {
	in, err := q.decodeGroupTags()
	if err != nil {
		return nil, err
	}
	return a.logTags(in.LogGroupName)
}

func (a *API) logTags(group string) (any, error) {
	g, err := a.cfg.Logs.Groups.Group(group)
	if g.Tags == nil {
		g.Tags = map[string]string{}
	}
	return tagsAnswer{g.Tags}, err
}
