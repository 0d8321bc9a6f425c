package tables

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

// UpdateTimeToLive names the attribute that ends a table's items, or turns it off.
func (e *Engine) UpdateTimeToLive(in *ddb.UpdateTimeToLiveInput) (ddb.UpdateTimeToLiveOutput, error) {
	if err := in.Check(); err != nil {
		return ddb.UpdateTimeToLiveOutput{}, err
	}
	asked := *in.TimeToLiveSpecification
	_, err := e.alter(in.TableName, func(_ *table, r *record) ([]iot.Write, error) {
		switch {
		case *asked.Enabled && r.TTL == asked.AttributeName:
			return nil, invalid("TimeToLive is already enabled")
		case *asked.Enabled && r.TTL != "":
			return nil, invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", r.TTL)
		case !*asked.Enabled && r.TTL == "":
			return nil, invalid("TimeToLive is already disabled")
		case !*asked.Enabled && r.TTL != asked.AttributeName:
			return nil, invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", r.TTL)
		case *asked.Enabled:
			r.TTL = asked.AttributeName
		default:
			r.TTL = ""
		}
		return nil, nil
	})
	return ddb.UpdateTimeToLiveOutput{TimeToLiveSpecification: asked}, err
}

// DescribeTimeToLive says which attribute ends a table's items.
func (e *Engine) DescribeTimeToLive(in *ddb.TableInput) (ddb.DescribeTimeToLiveOutput, error) {
	var out ddb.DescribeTimeToLiveOutput
	if err := in.Check(); err != nil {
		return out, err
	}
	t, err := e.described(in.TableName)
	if err != nil {
		return out, err
	}
	out.TimeToLiveDescription = ddb.TimeToLiveDescription{TimeToLiveStatus: "DISABLED"}
	if t.TTL != "" {
		out.TimeToLiveDescription = ddb.TimeToLiveDescription{TimeToLiveStatus: "ENABLED", AttributeName: t.TTL}
	}
	return out, nil
}

// maxTags is how many tags a table has at most.
const maxTags = 50

// TagResource adds tags to a table, or changes their values.
func (e *Engine) TagResource(in *ddb.TagResourceInput) error {
	if err := in.Check(); err != nil {
		return err
	}
	return e.alterTags(in.ResourceArn, func(tags []ddb.Tag) []ddb.Tag {
		for _, t := range in.Tags {
			tags = append(slices.DeleteFunc(tags, func(old ddb.Tag) bool { return old.Key == t.Key }), t)
		}
		return tags
	})
}

// UntagResource removes tags from a table.
func (e *Engine) UntagResource(in *ddb.UntagResourceInput) error {
	if err := in.Check(); err != nil {
		return err
	}
	return e.alterTags(in.ResourceArn, func(tags []ddb.Tag) []ddb.Tag {
		return slices.DeleteFunc(tags, func(t ddb.Tag) bool { return slices.Contains(in.TagKeys, t.Key) })
	})
}

func (e *Engine) alterTags(arn string, change func([]ddb.Tag) []ddb.Tag) error {
	name, err := e.nameOf(arn)
	if err != nil {
		return err
	}
	_, err = e.alter(name, func(_ *table, r *record) ([]iot.Write, error) {
		r.Tags = change(r.Tags)
		if len(r.Tags) > maxTags {
			return nil, fmt.Errorf("table %s would have more than %d tags: %w", name, maxTags, iot.ErrLimit)
		}
		return nil, nil
	})
	return err
}

// ListTagsOfResource answers a table's tags.
func (e *Engine) ListTagsOfResource(in *ddb.ListTagsInput) (ddb.ListTagsOutput, error) {
	if err := in.Check(); err != nil {
		return ddb.ListTagsOutput{}, err
	}
	name, err := e.nameOf(in.ResourceArn)
	if err != nil {
		return ddb.ListTagsOutput{}, err
	}
	t, err := e.described(name)
	if err != nil {
		return ddb.ListTagsOutput{}, err
	}
	return ddb.ListTagsOutput{Tags: append([]ddb.Tag{}, t.Tags...)}, nil
}

// nameOf returns the name of the table of an ARN.
func (e *Engine) nameOf(arn string) (string, error) {
	resource, err := e.cfg.Account.Resource("dynamodb", arn)
	if err != nil {
		return "", err
	}
	name, ok := strings.CutPrefix(resource, "table/")
	if !ok || strings.Contains(name, "/") {
		return "", invalid("Invalid ResourceArn: %s is not that of a table", arn)
	}
	return name, nil
}
