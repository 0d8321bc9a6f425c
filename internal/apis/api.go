package apis

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// api is an API with its parts, by id; stages are by name. It does not change
// once it is current: changes are made to a clone, its draft.
type api struct {
	doc          iot.API
	builtIn      bool
	routes       map[string]iot.APIRoute
	integrations map[string]iot.APIIntegration
	authorizers  map[string]iot.APIAuthorizer
	responses    map[string]iot.APIRouteResponse
	stages       map[string]iot.APIStage
	deployments  map[string]iot.APIDeployment
	snapshots    map[string]snapshot // of the deployments
	writes       []iot.Write         // of a draft, not yet stored
	err          error               // why a draft cannot be stored
}

// snapshot is what a deployment froze.
type snapshot struct {
	API          iot.APISpec            `json:"api"`
	Routes       []iot.APIRoute         `json:"routes"`
	Integrations []iot.APIIntegration   `json:"integrations"`
	Authorizers  []iot.APIAuthorizer    `json:"authorizers"`
	Responses    []iot.APIRouteResponse `json:"routeResponses"`
}

func newAPI() *api {
	return &api{
		routes: map[string]iot.APIRoute{}, integrations: map[string]iot.APIIntegration{}, authorizers: map[string]iot.APIAuthorizer{},
		responses: map[string]iot.APIRouteResponse{}, stages: map[string]iot.APIStage{},
		deployments: map[string]iot.APIDeployment{}, snapshots: map[string]snapshot{},
	}
}

// clone returns a draft. Its parts are shared: they are replaced, not changed.
func (a *api) clone() *api {
	return &api{
		doc: a.doc, routes: maps.Clone(a.routes), integrations: maps.Clone(a.integrations), authorizers: maps.Clone(a.authorizers),
		responses: maps.Clone(a.responses), stages: maps.Clone(a.stages),
		deployments: maps.Clone(a.deployments), snapshots: maps.Clone(a.snapshots),
	}
}

// The kinds of an API's records.
const (
	kindAPI         = "api"
	kindRoute       = "route"
	kindIntegration = "integration"
	kindAuthorizer  = "authorizer"
	kindResponse    = "route response"
	kindStage       = "stage"
	kindDeployment  = "deployment"
	kindSnapshot    = "snapshot"
)

// recordKey is the key of a part's record: API, kind and part, with a zero byte
// between, which none of them has.
func recordKey(id, kind, part string) []byte { return []byte(id + "\x00" + kind + "\x00" + part) }

func splitKey(key []byte) (id, kind, part string, ok bool) {
	parts := bytes.SplitN(key, []byte{0}, 3)
	if len(parts) != 3 {
		return "", "", "", false
	}
	return string(parts[0]), string(parts[1]), string(parts[2]), true
}

// read takes a stored record in.
func (a *api) read(kind, part string, value []byte) error {
	switch kind {
	case kindAPI:
		return json.Unmarshal(value, &a.doc)
	case kindRoute:
		return readInto(a.routes, part, value)
	case kindIntegration:
		return readInto(a.integrations, part, value)
	case kindAuthorizer:
		return readInto(a.authorizers, part, value)
	case kindResponse:
		return readInto(a.responses, part, value)
	case kindStage:
		return readInto(a.stages, part, value)
	case kindDeployment:
		return readInto(a.deployments, part, value)
	case kindSnapshot:
		return readInto(a.snapshots, part, value)
	}
	return fmt.Errorf("there is no such kind of record: %w", iot.ErrInvalid)
}

func readInto[T any](parts map[string]T, id string, value []byte) error {
	var v T
	err := json.Unmarshal(value, &v)
	parts[id] = v
	return err
}

// write adds a record to those that a draft stores.
func (a *api) write(kind, part string, v any) {
	value, err := json.Marshal(v)
	if err != nil && a.err == nil {
		a.err = err
	}
	a.writes = append(a.writes, iot.Write{Key: recordKey(a.doc.ID, kind, part), Value: value})
}

// erase adds the deletion of a record to what a draft stores.
func (a *api) erase(kind, part string) {
	a.writes = append(a.writes, iot.Write{Key: recordKey(a.doc.ID, kind, part), Delete: true})
}

// put sets a part of a draft.
func put[T any](a *api, parts map[string]T, kind, id string, v T) {
	parts[id] = v
	a.write(kind, id, v)
}

// drop removes a part of a draft.
func drop[T any](a *api, parts map[string]T, kind, id string) {
	delete(parts, id)
	a.erase(kind, id)
}

// deploy makes a deployment of what a draft is now.
func (a *api) deploy(at time.Time, auto bool, spec iot.APIDeploymentSpec) iot.APIDeployment {
	d := iot.APIDeployment{ID: newID(6), Created: at, Status: "DEPLOYED", Auto: auto, APIDeploymentSpec: spec}
	put(a, a.deployments, kindDeployment, d.ID, d)
	put(a, a.snapshots, kindSnapshot, d.ID, a.freeze())
	return d
}

func (a *api) freeze() snapshot {
	return snapshot{
		API: a.doc.APISpec, Routes: sorted(a.routes), Integrations: sorted(a.integrations),
		Authorizers: sorted(a.authorizers), Responses: sorted(a.responses),
	}
}

// autoDeploy deploys a draft to the stages that follow its changes.
func (a *api) autoDeploy(at time.Time) {
	var deployed string
	for _, name := range slices.Sorted(maps.Keys(a.stages)) {
		s := a.stages[name]
		if !s.AutoDeploy {
			continue
		}
		if deployed == "" {
			deployed = a.deploy(at, true, iot.APIDeploymentSpec{
				Description: "Automatic deployment triggered by changes to the Api configuration",
			}).ID
		}
		s.DeploymentID = deployed
		s.LastDeployment = "Successfully deployed stage with deployment ID '" + deployed + "'"
		s.Updated = at
		put(a, a.stages, kindStage, name, s)
	}
	a.prune()
}

// prune drops automatic deployments that no stage serves.
func (a *api) prune() {
	for id, d := range a.deployments {
		if d.Auto && !a.serves(id) {
			a.undeploy(id)
		}
	}
}

func (a *api) undeploy(id string) {
	drop(a, a.deployments, kindDeployment, id)
	drop(a, a.snapshots, kindSnapshot, id)
}

// serves reports whether a stage serves a deployment.
func (a *api) serves(deployment string) bool {
	for _, s := range a.stages {
		if s.DeploymentID == deployment {
			return true
		}
	}
	return false
}

// sorted returns the parts in the order of their ids.
func sorted[T any](parts map[string]T) []T {
	list := make([]T, 0, len(parts))
	for _, id := range slices.Sorted(maps.Keys(parts)) {
		list = append(list, parts[id])
	}
	return list
}

// newID returns an id as AWS's: n lower-case letters and digits, the first a letter.
func newID(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	b := make([]byte, n)
	rand.Read(b) // never fails
	b[0] = letters[b[0]%26]
	for i := 1; i < n; i++ {
		b[i] = letters[b[i]%32]
	}
	return string(b)
}

// endpoint returns where an API is served.
func (e *Engine) endpoint(a *iot.API) string {
	base := strings.TrimSuffix(e.cfg.Endpoint(), "/")
	if a.Protocol == iot.APIWebSocket {
		base = "ws" + strings.TrimPrefix(base, "http")
	}
	return base + "/" + a.ID
}

// shown returns an API as its owner is shown it.
func (e *Engine) shown(doc iot.API) iot.API {
	doc.Endpoint = e.endpoint(&doc)
	doc.IPAddressType = cmp.Or(doc.IPAddressType, "ipv4")
	return doc
}
