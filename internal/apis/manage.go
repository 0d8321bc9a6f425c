package apis

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// mostAPIs is AWS's quota of APIs in a region.
const mostAPIs = 600

// CreateAPI makes an API and, for a quick create, its integration, route and
// stage. The error wraps [iot.ErrInvalid] or [iot.ErrLimit].
func (e *Engine) CreateAPI(spec iot.APISpec) (iot.API, error) {
	quick := spec
	spec.QuickCreateRoute, spec.QuickCreateTarget = "", ""
	if err := checkAPI(&spec); err != nil {
		return iot.API{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.apis) >= mostAPIs {
		return iot.API{}, fmt.Errorf("there are %d APIs, which is the most: %w", len(e.apis), iot.ErrLimit)
	}
	draft := newAPI()
	draft.doc = iot.API{ID: newID(10), Created: e.now(), APISpec: spec}
	draft.write(kindAPI, "", draft.doc)
	if quick.QuickCreateTarget != "" {
		if err := e.quickCreate(draft, cmp.Or(quick.QuickCreateRoute, defaultRoute), quick.QuickCreateTarget); err != nil {
			return iot.API{}, err
		}
	} else if quick.QuickCreateRoute != "" {
		return iot.API{}, invalid("RouteKey needs a Target: the quick create makes a route to it")
	}
	if err := e.commit(draft); err != nil {
		return iot.API{}, err
	}
	return e.shown(draft.doc), nil
}

// quickCreate gives a new HTTP API a route to a function or URL, and the stage
// $default, which follows its changes.
func (e *Engine) quickCreate(draft *api, routeKey, target string) error {
	if draft.doc.Protocol != iot.APIHTTP {
		return invalid("Target and RouteKey are for HTTP APIs")
	}
	integration := iot.APIIntegration{ID: newID(7), Managed: true, APIIntegrationSpec: iot.APIIntegrationSpec{
		Type: iot.IntegrateFunction, URI: target, PayloadFormat: "2.0",
	}}
	if strings.HasPrefix(target, "http") {
		integration.APIIntegrationSpec = iot.APIIntegrationSpec{Type: iot.IntegrateHTTP, URI: target, Method: "ANY"}
	}
	if err := e.Integrations().put(draft, integration.ID, &integration); err != nil {
		return err
	}
	route := iot.APIRoute{ID: newID(7), Managed: true, APIRouteSpec: iot.APIRouteSpec{Key: routeKey, Target: targetPrefix + integration.ID}}
	if err := e.Routes().put(draft, route.ID, &route); err != nil {
		return err
	}
	stage := iot.APIStage{Managed: true, APIStageSpec: iot.APIStageSpec{Name: defaultStage, AutoDeploy: true}}
	if err := e.Stages().put(draft, stage.Name, &stage); err != nil {
		return err
	}
	draft.autoDeploy(e.now())
	return nil
}

// API returns an API, or an error wrapping [iot.ErrNotFound].
func (e *Engine) API(id string) (iot.API, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a, err := e.find(id)
	if err != nil {
		return iot.API{}, err
	}
	return e.shown(a.doc), nil
}

// APIs returns every API in the order of ids.
func (e *Engine) APIs() []iot.API {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]iot.API, 0, len(e.apis))
	for _, id := range slices.Sorted(maps.Keys(e.apis)) {
		list = append(list, e.shown(e.apis[id].doc))
	}
	return list
}

// UpdateAPI has change set anew what it wants of an API; its protocol stays. The
// error wraps [iot.ErrNotFound] or [iot.ErrInvalid].
func (e *Engine) UpdateAPI(id string, change func(*iot.APISpec) error) (iot.API, error) {
	var doc iot.API
	err := e.change(id, true, func(draft *api) error {
		var err error
		if doc, err = clone(draft.doc); err != nil {
			return err
		}
		protocol := doc.Protocol
		if err := change(&doc.APISpec); err != nil {
			return err
		}
		if doc.Protocol != protocol {
			return invalid("the protocol of an API does not change")
		}
		if err := checkAPI(&doc.APISpec); err != nil {
			return err
		}
		draft.doc = doc
		draft.write(kindAPI, "", doc)
		return nil
	})
	return e.shown(doc), err
}

// DeleteAPI removes an API with all that it has; its open connections stay until
// they end. The error wraps [iot.ErrNotFound].
func (e *Engine) DeleteAPI(id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	a, err := e.find(id)
	if err != nil {
		return err
	}
	if a.builtIn {
		return fmt.Errorf("API %s is of the server's own stack, which is not changed: %w", id, iot.ErrConflict)
	}
	whole := iot.Write{Key: []byte(id + "\x00"), To: []byte(id + "\x01"), Delete: true}
	if err := e.cfg.Records.Apply([]iot.Write{whole}, true); err != nil {
		return fmt.Errorf("deleting API %s: %w", id, err)
	}
	delete(e.apis, id)
	e.publish(id)
	return nil
}

// checkAPI validates what an API is to be and sets defaults.
func checkAPI(s *iot.APISpec) error {
	if n := utf8.RuneCountInString(s.Name); n < 1 || n > 128 {
		return invalid("the name of an API has 1 to 128 characters")
	}
	if utf8.RuneCountInString(s.Description) > 1024 || utf8.RuneCountInString(s.Version) > 64 {
		return invalid("a description has at most 1024 characters, a version 64")
	}
	if s.IPAddressType != "" && s.IPAddressType != "ipv4" && s.IPAddressType != "dualstack" {
		return invalid("ipAddressType is ipv4 or dualstack, not %q", s.IPAddressType)
	}
	s.APIKeySelection = cmp.Or(s.APIKeySelection, "$request.header.x-api-key")
	switch s.Protocol {
	case iot.APIWebSocket:
		if s.CORS != nil {
			return invalid("corsConfiguration is for HTTP APIs")
		}
		_, err := parseSelection(s.RouteSelection)
		return err
	case iot.APIHTTP:
		s.RouteSelection = cmp.Or(s.RouteSelection, httpSelection)
		if s.RouteSelection != httpSelection {
			return invalid("the routeSelectionExpression of an HTTP API is %s", httpSelection)
		}
		return checkCORS(s.CORS)
	}
	return invalid("protocolType is WEBSOCKET or HTTP, not %q", s.Protocol)
}

// httpSelection is the only route selection expression of HTTP APIs.
const httpSelection = "${request.method} ${request.path}"

// Tags returns the tags of an API or stage by its ARN, or an error wrapping
// [iot.ErrNotFound].
func (e *Engine) Tags(arn string) (map[string]string, error) {
	id, stage, err := e.tagged(arn)
	if err != nil {
		return nil, err
	}
	if stage == "" {
		doc, err := e.API(id)
		return doc.Tags, err
	}
	s, err := e.Stages().Get(id, stage)
	return s.Tags, err
}

// Retag has change set anew the tags of an API or stage. The error wraps
// [iot.ErrNotFound], or [iot.ErrInvalid] for more than fifty.
func (e *Engine) Retag(arn string, change func(tags map[string]string)) error {
	id, stage, err := e.tagged(arn)
	if err != nil {
		return err
	}
	retag := func(tags *map[string]string) error {
		if *tags == nil {
			*tags = make(map[string]string)
		}
		change(*tags)
		return checkTags(*tags)
	}
	if stage == "" {
		_, err = e.UpdateAPI(id, func(s *iot.APISpec) error { return retag(&s.Tags) })
	} else {
		_, err = e.Stages().Update(id, stage, func(s *iot.APIStageSpec) error { return retag(&s.Tags) })
	}
	return err
}

// tagged reads arn:aws:apigateway:region::/apis/id or …/apis/id/stages/name.
func (e *Engine) tagged(arn string) (id, stage string, err error) {
	rest, ok := strings.CutPrefix(arn, "arn:aws:apigateway:"+e.cfg.Account.Region+"::/apis/")
	id, stage, staged := strings.Cut(rest, "/stages/")
	if !ok || id == "" || staged && stage == "" || strings.Contains(stage, "/") {
		return "", "", invalid("%q is not the ARN of an API or stage (arn:aws:apigateway:%s::/apis/…)", arn, e.cfg.Account.Region)
	}
	return id, stage, nil
}

func checkTags(tags map[string]string) error {
	if len(tags) > 50 {
		return invalid("there are at most 50 tags")
	}
	for k, v := range tags {
		if k == "" || utf8.RuneCountInString(k) > 128 || utf8.RuneCountInString(v) > 256 || strings.HasPrefix(k, "aws:") {
			return invalid("tag %q: keys have 1 to 128 characters and do not begin with aws:, values have at most 256", k)
		}
	}
	return nil
}
