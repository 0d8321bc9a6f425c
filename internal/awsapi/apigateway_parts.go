package awsapi

import (
	"context"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// partWire is what is particular to a kind of part on the wire.
type partWire[T, S any] struct {
	refused []string // members that Fieldline does not take
	id      func(*T) string
	// read reads what of a new part is not in S's own JSON; nil: nothing is.
	read func(q *request, spec *S) error
	// of reports whether a request is about a part; nil: every one.
	of func(q *request, part *T) bool
}

// routeResponseWire says that route responses are those of a route.
func routeResponseWire() partWire[iot.APIRouteResponse, iot.APIRouteResponseSpec] {
	return partWire[iot.APIRouteResponse, iot.APIRouteResponseSpec]{
		refused: []string{"modelSelectionExpression", "responseModels", "responseParameters"},
		id:      func(r *iot.APIRouteResponse) string { return r.ID },
		read: func(q *request, spec *iot.APIRouteResponseSpec) error {
			spec.RouteID = q.labels["routeId"]
			return nil
		},
		of: func(q *request, r *iot.APIRouteResponse) bool { return r.RouteID == q.labels["routeId"] },
	}
}

// partOperations are the five operations on the parts of a kind, at path and, for
// one of them, at path/{label}.
func partOperations[T, S any](noun, path, label string, parts APIParts[T, S], wire partWire[T, S]) []operation {
	p := partHandlers[T, S]{noun: noun, label: label, parts: parts, partWire: wire}
	one := path + "/{" + label + "}"
	return []operation{
		{"Create" + noun, "POST", path, 201, p.create},
		{"Get" + noun, "GET", one, 200, p.get},
		{"Get" + noun + "s", "GET", path, 200, p.list},
		{"Update" + noun, "PATCH", one, 200, p.update},
		{"Delete" + noun, "DELETE", one, 204, p.remove},
	}
}

type partHandlers[T, S any] struct {
	noun, label string
	parts       APIParts[T, S]
	partWire[T, S]
}

func (p partHandlers[T, S]) create(_ context.Context, q *request) (any, error) {
	var spec S
	if err := q.refuseBody(p.refused); err != nil {
		return nil, err
	}
	if err := q.decode(&spec); err != nil {
		return nil, err
	}
	if p.read != nil {
		if err := p.read(q, &spec); err != nil {
			return nil, err
		}
	}
	return p.parts.Create(q.labels["apiId"], spec)
}

// find returns the part that a request is about.
func (p partHandlers[T, S]) find(q *request) (T, error) {
	part, err := p.parts.Get(q.labels["apiId"], q.labels[p.label])
	if err == nil && p.of != nil && !p.of(q, &part) {
		err = fmt.Errorf("%s %q: %w", p.noun, q.labels[p.label], iot.ErrNotFound)
	}
	return part, err
}

func (p partHandlers[T, S]) get(_ context.Context, q *request) (any, error) { return p.find(q) }

func (p partHandlers[T, S]) list(_ context.Context, q *request) (any, error) {
	all, err := p.parts.List(q.labels["apiId"])
	if err != nil {
		return nil, err
	}
	if p.of != nil {
		kept := make([]T, 0, len(all))
		for i := range all {
			if p.of(q, &all[i]) {
				kept = append(kept, all[i])
			}
		}
		all = kept
	}
	return apiPage(q, all, p.id)
}

func (p partHandlers[T, S]) update(_ context.Context, q *request) (any, error) {
	if err := q.refuseBody(p.refused); err != nil {
		return nil, err
	}
	if _, err := p.find(q); err != nil {
		return nil, err
	}
	return p.parts.Update(q.labels["apiId"], q.labels[p.label], func(spec *S) error { return q.decode(spec) })
}

func (p partHandlers[T, S]) remove(_ context.Context, q *request) (any, error) {
	if _, err := p.find(q); err != nil {
		return nil, err
	}
	return nil, p.parts.Delete(q.labels["apiId"], q.labels[p.label])
}
