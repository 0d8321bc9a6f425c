package awsapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxAttributes is how many attributes a thing may have: AWS's quota for one
// with a thing type.
const maxAttributes = 50

func (a *API) thingOperations() []operation {
	return []operation{
		{"CreateThing", "POST", "/things/{thingName}", 200, a.createThing},
		{"DescribeThing", "GET", "/things/{thingName}", 200, a.describeThing},
		{"ListThings", "GET", "/things", 200, a.listThings},
		{"UpdateThing", "PATCH", "/things/{thingName}", 200, a.updateThing},
		{"DeleteThing", "DELETE", "/things/{thingName}", 200, a.deleteThing},
	}
}

func (a *API) endpointOperations() []operation {
	return []operation{{"DescribeEndpoint", "GET", "/endpoint", 200, a.describeEndpoint}}
}

// attributePayload is iot's AttributePayload.
type attributePayload struct {
	Attributes map[string]string `json:"attributes"`
	Merge      bool              `json:"merge"`
}

func (p *attributePayload) check() error {
	for name, value := range p.Attributes {
		if err := attributeNames().check("attributePayload.attributes", name); err != nil {
			return err
		}
		if name == "" {
			return fmt.Errorf("an attribute without a name: %w", iot.ErrInvalid)
		}
		if err := attributeValues().check("attributePayload.attributes."+name, value); err != nil {
			return err
		}
	}
	return checkAttributeCount(p.Attributes)
}

func checkAttributeCount(attributes map[string]string) error {
	if len(attributes) > maxAttributes {
		return fmt.Errorf("a thing has at most %d attributes, not %d: %w", maxAttributes, len(attributes), iot.ErrInvalid)
	}
	return nil
}

// apply changes attributes as UpdateThing does: an empty value removes its
// attribute, and without merge the payload replaces what there was.
func (p *attributePayload) apply(t *iot.Thing) error {
	attributes := make(map[string]string)
	if p.Merge {
		maps.Copy(attributes, t.Attributes)
	}
	maps.Copy(attributes, p.Attributes)
	maps.DeleteFunc(attributes, func(_, value string) bool { return value == "" })
	t.Attributes = attributes
	return checkAttributeCount(attributes)
}

// thingIdentity is the answer of CreateThing.
type thingIdentity struct {
	ThingName string `json:"thingName"`
	ThingARN  string `json:"thingArn"`
	ThingID   string `json:"thingId"`
}

func (a *API) createThing(_ context.Context, q *request) (any, error) {
	var in struct {
		ThingTypeName    string            `json:"thingTypeName"`
		BillingGroupName string            `json:"billingGroupName"`
		AttributePayload *attributePayload `json:"attributePayload"`
	}
	name, err := q.thingName()
	if err := errors.Join(err, q.decode(&in)); err != nil {
		return nil, err
	}
	if err := refuseMembers(present{"thingTypeName", in.ThingTypeName != ""}, present{"billingGroupName", in.BillingGroupName != ""}); err != nil {
		return nil, err
	}
	t := iot.Thing{Name: name, Created: a.cfg.Now()}
	if p := in.AttributePayload; p != nil {
		if err := errors.Join(p.check(), p.apply(&t)); err != nil {
			return nil, err
		}
	}
	if t, err = a.cfg.Things.CreateThing(t); err != nil {
		return nil, err
	}
	return thingIdentity{t.Name, a.thingARN(t.Name), t.ID}, nil
}

func (a *API) thingARN(name string) string { return a.cfg.Account.ARN("iot", "thing/"+name) }

// thingAnswer is a thing in DescribeThing and, without its first three members,
// in ListThings.
type thingAnswer struct {
	DefaultClientID string            `json:"defaultClientId,omitempty"`
	ThingID         string            `json:"thingId,omitempty"`
	ThingName       string            `json:"thingName"`
	ThingTypeName   string            `json:"thingTypeName,omitempty"`
	ThingARN        string            `json:"thingArn"`
	Attributes      map[string]string `json:"attributes"`
	Version         int64             `json:"version"`
}

func (a *API) thingAnswer(t *iot.Thing) thingAnswer {
	attributes := t.Attributes
	if attributes == nil {
		attributes = map[string]string{}
	}
	return thingAnswer{ThingName: t.Name, ThingTypeName: t.Type, ThingARN: a.thingARN(t.Name), Attributes: attributes, Version: t.Version}
}

func (a *API) describeThing(_ context.Context, q *request) (any, error) {
	name, err := q.thingName()
	if err != nil {
		return nil, err
	}
	t, err := a.cfg.Things.Thing(name)
	if err != nil {
		return nil, err
	}
	answer := a.thingAnswer(&t)
	answer.DefaultClientID, answer.ThingID = t.Name, t.ID
	return answer, nil
}

// thingFilter selects things in ListThings.
type thingFilter struct {
	attribute, value, thingType string
	prefix                      bool
}

func (f *thingFilter) takes(t *iot.Thing) bool {
	if f.thingType != "" && t.Type != f.thingType {
		return false
	}
	if f.attribute == "" {
		return true
	}
	value, ok := t.Attributes[f.attribute]
	return ok && (value == f.value || f.prefix && strings.HasPrefix(value, f.value))
}

func (a *API) listThings(_ context.Context, q *request) (any, error) {
	p, err := q.tokenPage(maxPage)
	if err != nil {
		return nil, err
	}
	filter := thingFilter{attribute: q.query.Get("attributeName"), value: q.query.Get("attributeValue"), thingType: q.query.Get("thingTypeName")}
	if filter.prefix, err = q.boolean("usePrefixAttributeValue"); err != nil {
		return nil, err
	}
	if filter.attribute == "" && filter.value != "" {
		return nil, fmt.Errorf("attributeValue is given without attributeName: %w", iot.ErrInvalid)
	}
	things, err := a.selectThings(p, &filter)
	if err != nil {
		return nil, err
	}
	things, next := take(p, things, func(t *iot.Thing) string { return t.Name })
	return struct {
		Things    []thingAnswer `json:"things"`
		NextToken string        `json:"nextToken,omitempty"`
	}{each(things, a.thingAnswer), next}, nil
}

// selectThings reads on until the page, and one more, are full or all things
// have been looked at.
func (a *API) selectThings(p paging, filter *thingFilter) ([]iot.Thing, error) {
	var selected []iot.Thing
	for after := p.after; ; {
		things, err := a.cfg.Things.Things(after, maxPage+1)
		if err != nil {
			return nil, err
		}
		for i := range things {
			if after = things[i].Name; filter.takes(&things[i]) {
				selected = append(selected, things[i])
			}
		}
		if len(selected) > p.size || len(things) <= maxPage {
			return selected, nil
		}
	}
}

func (a *API) updateThing(_ context.Context, q *request) (any, error) {
	var in struct {
		ThingTypeName    string            `json:"thingTypeName"`
		RemoveThingType  bool              `json:"removeThingType"`
		ExpectedVersion  int64             `json:"expectedVersion"`
		AttributePayload *attributePayload `json:"attributePayload"`
	}
	name, err := q.thingName()
	if err := errors.Join(err, q.decode(&in)); err != nil {
		return nil, err
	}
	if err := refuseMembers(present{"thingTypeName", in.ThingTypeName != ""}, present{"removeThingType", in.RemoveThingType}); err != nil {
		return nil, err
	}
	if in.AttributePayload != nil {
		if err := in.AttributePayload.check(); err != nil {
			return nil, err
		}
	}
	_, err = a.cfg.Things.UpdateThing(name, in.ExpectedVersion, func(t *iot.Thing) error {
		if in.AttributePayload == nil {
			return nil
		}
		return in.AttributePayload.apply(t)
	})
	return empty{}, err
}

func (a *API) deleteThing(_ context.Context, q *request) (any, error) {
	name, err := q.thingName()
	if err != nil {
		return nil, err
	}
	var expected int64
	if text := q.query.Get("expectedVersion"); text != "" {
		if expected, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, fmt.Errorf("expectedVersion=%q is not an integer: %w", text, iot.ErrInvalid)
		}
	}
	switch err := a.cfg.Things.DeleteThing(name, expected); {
	case errors.Is(err, iot.ErrNotFound):
		return empty{}, nil // as on AWS
	case errors.Is(err, iot.ErrConflict):
		return nil, coded(codeInvalidRequest, err)
	default:
		return empty{}, err
	}
}

func (a *API) describeEndpoint(_ context.Context, q *request) (any, error) {
	switch kind := q.query.Get("endpointType"); kind {
	case "", "iot:Data", "iot:Data-ATS":
		// A bare name, as AWS answers: devices and SDKs add the port themselves.
		return struct {
			EndpointAddress string `json:"endpointAddress"`
		}{a.cfg.Endpoint}, nil
	case "iot:CredentialProvider", "iot:Jobs", "iot:Data-Beta":
		return nil, fmt.Errorf("endpointType %s: %w by Fieldline, which has iot:Data-ATS only", kind, iot.ErrUnsupported)
	default:
		return nil, fmt.Errorf("endpointType %q is not one of iot:Data-ATS, iot:Data, iot:CredentialProvider, iot:Jobs: %w", kind, iot.ErrInvalid)
	}
}
