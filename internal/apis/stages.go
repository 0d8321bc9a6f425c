package apis

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// wordCharacters are those that names of stages and their variables have.
const wordCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

// defaultStage is the stage of an HTTP API that has no name in its URLs.
const defaultStage = "$default"

// Stages are the stages of the APIs, by name. A stage follows changes of itself
// at once, whatever it serves.
func (e *Engine) Stages() Parts[iot.APIStage, iot.APIStageSpec] {
	return Parts[iot.APIStage, iot.APIStageSpec]{
		engine: e, kind: kindStage, most: mostStages,
		all:   func(a *api) map[string]iot.APIStage { return a.stages },
		spec:  func(s *iot.APIStage) *iot.APIStageSpec { return &s.APIStageSpec },
		id:    func(s *iot.APIStage) string { return s.Name },
		check: e.checkStage,
		follow: func(a *api, name string, s *iot.APIStage) error {
			if s != nil && s.AutoDeploy && !a.deployments[s.DeploymentID].Auto {
				a.autoDeploy(e.now())
				*s = a.stages[name]
			}
			a.prune()
			return nil
		},
	}
}

func (e *Engine) checkStage(a *api, name string, s *iot.APIStage) error {
	if s.Name != name {
		return invalid("the name of a stage does not change")
	}
	good := name != "" && len(name) <= 128 && strings.Trim(name, wordCharacters+"-") == ""
	if !good && (name != defaultStage || a.doc.Protocol != iot.APIHTTP) {
		return invalid("stage name %q: letters, digits, - and _, at most 128 (or, of an HTTP API, $default)", name)
	}
	if utf8.RuneCountInString(s.Description) > 1024 {
		return invalid("a description has at most 1024 characters")
	}
	before := a.stages[name]
	if s.AutoDeploy && s.DeploymentID != before.DeploymentID {
		return invalid("a stage with AutoDeploy takes no deploymentId")
	}
	if _, known := a.deployments[s.DeploymentID]; s.DeploymentID != "" && !known {
		return invalid("deployment %s does not exist in the API", s.DeploymentID)
	}
	if err := checkVariables(s.Variables); err != nil {
		return err
	}
	if err := checkTags(s.Tags); err != nil {
		return err
	}
	if err := checkLimits(&s.DefaultLimits); err != nil {
		return err
	}
	for key, limits := range s.RouteLimits {
		if err := checkLimits(&limits); err != nil {
			return fmt.Errorf("route %s: %w", key, err)
		}
	}
	s.Updated = e.now()
	if s.Created.IsZero() {
		s.Created = s.Updated
	}
	return nil
}

// checkVariables validates stage variables; an empty value removes one.
func checkVariables(variables map[string]string) error {
	for name, value := range variables {
		if value == "" {
			delete(variables, name)
		}
		if name == "" || len(name) > 64 || strings.Trim(name, wordCharacters) != "" || len(value) > 2048 {
			return invalid("stage variable %q: names have 1 to 64 letters, digits and _, values at most 2048 bytes", name)
		}
	}
	return nil
}

func checkLimits(l *iot.APIRouteSettings) error {
	if l.DataTrace || l.DetailedMetrics || l.LoggingLevel != "" && l.LoggingLevel != "OFF" {
		return fmt.Errorf("dataTraceEnabled, detailedMetricsEnabled and loggingLevel: %w", iot.ErrUnsupported)
	}
	if l.Burst < 0 || l.Rate < 0 {
		return invalid("throttling limits are not negative")
	}
	return nil
}

// Deployments are the deployments of the APIs. One with a Stage is served there
// from now on.
func (e *Engine) Deployments() Parts[iot.APIDeployment, iot.APIDeploymentSpec] {
	return Parts[iot.APIDeployment, iot.APIDeploymentSpec]{
		engine: e, kind: kindDeployment, most: mostDeployments,
		all:   func(a *api) map[string]iot.APIDeployment { return a.deployments },
		spec:  func(d *iot.APIDeployment) *iot.APIDeploymentSpec { return &d.APIDeploymentSpec },
		id:    func(d *iot.APIDeployment) string { d.ID = newID(6); return d.ID },
		check: e.checkDeployment,
		inUse: func(a *api, id string) error {
			if a.serves(id) {
				return fmt.Errorf("deployment %s is served by a stage, which must be moved or deleted first: %w", id, iot.ErrConflict)
			}
			return nil
		},
		follow: e.followDeployment,
	}
}

func (e *Engine) checkDeployment(a *api, _ string, d *iot.APIDeployment) error {
	if utf8.RuneCountInString(d.Description) > 1024 {
		return invalid("a description has at most 1024 characters")
	}
	if len(a.routes) == 0 {
		return invalid("an API without a route is not deployed")
	}
	if d.Stage != "" {
		if s, ok := a.stages[d.Stage]; !ok {
			return fmt.Errorf("stage %q: %w", d.Stage, iot.ErrNotFound)
		} else if s.AutoDeploy {
			return invalid("stage %s deploys by itself (AutoDeploy): it takes no deployment", d.Stage)
		}
	}
	d.Status = "DEPLOYED"
	if d.Created.IsZero() {
		d.Created = e.now()
	}
	return nil
}

// followDeployment freezes the API under a new deployment and moves its stage.
func (e *Engine) followDeployment(a *api, id string, d *iot.APIDeployment) error {
	if d == nil {
		drop(a, a.snapshots, kindSnapshot, id)
		return nil
	}
	if _, frozen := a.snapshots[id]; !frozen {
		put(a, a.snapshots, kindSnapshot, id, a.freeze())
	}
	if d.Stage != "" {
		s := a.stages[d.Stage]
		s.DeploymentID, s.Updated = id, d.Created
		put(a, a.stages, kindStage, d.Stage, s)
		a.prune()
	}
	return nil
}
