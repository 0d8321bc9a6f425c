package apis

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestStageServesTheSnapshotOfItsDeployment(t *testing.T) {
	w := newWorld(t, nil)
	w.functions.run["Old"], w.functions.run["New"] = answers(`"old"`), answers(`"new"`)
	api := need[iot.API](t)(w.CreateAPI(iot.APISpec{Name: "n", Protocol: iot.APIHTTP})).ID
	route := w.route(api, iot.APIRouteSpec{Key: "GET /x"}, iot.APIIntegrationSpec{Type: iot.IntegrateFunction, URI: arnOf("Old")})
	first := need[iot.APIDeployment](t)(w.Deployments().Create(api, iot.APIDeploymentSpec{}))
	need[iot.APIStage](t)(w.Stages().Create(api, iot.APIStageSpec{Name: "prod", DeploymentID: first.ID}))
	need[iot.APIStage](t)(w.Stages().Create(api, iot.APIStageSpec{Name: "dev", AutoDeploy: true}))
	check := func(when, prod, dev string) {
		t.Helper()
		if got := w.ask("GET", "/"+api+"/prod/x", "").Body.String(); got != prod {
			t.Errorf("%s: prod serves %s, want %s", when, got, prod)
		}
		if got := w.ask("GET", "/"+api+"/dev/x", "").Body.String(); got != dev {
			t.Errorf("%s: dev serves %s, want %s", when, got, dev)
		}
	}
	check("at first", "old", "old")
	i := need[iot.APIIntegration](t)(w.Integrations().Create(api, iot.APIIntegrationSpec{Type: iot.IntegrateFunction, URI: arnOf("New"), PayloadFormat: "2.0"}))
	need[iot.APIRoute](t)(w.Routes().Update(api, route.ID, func(s *iot.APIRouteSpec) error { s.Target = targetPrefix + i.ID; return nil }))
	check("after a change", "old", "new")
	w.open(nil)
	check("after a restart", "old", "new")
	second := need[iot.APIDeployment](t)(w.Deployments().Create(api, iot.APIDeploymentSpec{Stage: "prod"}))
	check("after a deployment", "new", "new")
	if err := w.Deployments().Delete(api, second.ID); !errors.Is(err, iot.ErrConflict) {
		t.Errorf("deleting what prod serves: %v", err)
	}
	if err := w.Deployments().Delete(api, first.ID); err != nil {
		t.Error(err)
	}
	if list := need[[]iot.APIDeployment](t)(w.Deployments().List(api)); len(list) != 2 {
		t.Errorf("%d deployments: those that AutoDeploy made and nobody serves stay", len(list))
	}
	if err := w.DeleteAPI(api); err != nil {
		t.Fatal(err)
	}
	check("after the API's end", `{"message":"Not Found"}`, `{"message":"Not Found"}`)
	if len(w.records.records) != 0 {
		t.Errorf("records of a deleted API stay: %v", w.records.records)
	}
}

func TestChangesAreValidated(t *testing.T) {
	w := newWorld(t, nil)
	ws := w.make(iot.APIWebSocket, "prod", map[string]string{"$connect": "F"})
	api := w.make(iot.APIHTTP, "prod", map[string]string{"GET /x": "F"})
	integration := func(s iot.APIIntegrationSpec) error { _, err := w.Integrations().Create(ws, s); return err }
	route := func(id string, s iot.APIRouteSpec) error { _, err := w.Routes().Create(id, s); return err }
	stage := func(id string, s iot.APIStageSpec) error { _, err := w.Stages().Create(id, s); return err }
	create := func(s iot.APISpec) error { _, err := w.CreateAPI(s); return err }
	authorizer := func(id string, s iot.APIAuthorizerSpec) error { _, err := w.Authorizers().Create(id, s); return err }
	for _, tt := range []struct {
		name string
		err  error
		want error
	}{
		{"an API without a name", create(iot.APISpec{Protocol: "HTTP"}), iot.ErrInvalid},
		{"a WebSocket API without a selection expression", create(iot.APISpec{Name: "n", Protocol: "WEBSOCKET"}), iot.ErrInvalid},
		{"a protocol that is none", create(iot.APISpec{Name: "n", Protocol: "REST"}), iot.ErrInvalid},
		{"a quick create of a WebSocket API", create(iot.APISpec{Name: "n", Protocol: "WEBSOCKET", RouteSelection: "$request.body.a", QuickCreateTarget: arnOf("F")}), iot.ErrInvalid},
		{"credentials for every origin", create(iot.APISpec{Name: "n", Protocol: "HTTP", CORS: &iot.CORS{AllowCredentials: true, AllowOrigins: []string{"*"}}}), iot.ErrInvalid},
		{"a part of no API", route("a1b2c3d4e5", iot.APIRouteSpec{Key: "x"}), iot.ErrNotFound},
		{"a route key that is taken", route(ws, iot.APIRouteSpec{Key: "$connect"}), iot.ErrExists},
		{"a target that is none", route(ws, iot.APIRouteSpec{Key: "x", Target: "integrations/none"}), iot.ErrInvalid},
		{"authorization of a message", route(ws, iot.APIRouteSpec{Key: "x", Authorization: "AWS_IAM"}), iot.ErrInvalid},
		{"a JWT without its authorizer", route(api, iot.APIRouteSpec{Key: "GET /y", Authorization: "JWT"}), iot.ErrInvalid},
		{"another account's function", integration(iot.APIIntegrationSpec{Type: "AWS_PROXY", URI: "arn:aws:lambda:us-east-1:999999999999:function:F"}), iot.ErrInvalid},
		{"a version of a function", integration(iot.APIIntegrationSpec{Type: "AWS_PROXY", URI: arnOf("F") + ":7"}), iot.ErrUnsupported},
		{"an integration with mapping", integration(iot.APIIntegrationSpec{Type: "AWS", URI: arnOf("F")}), iot.ErrUnsupported},
		{"a timeout beyond 29 seconds", integration(iot.APIIntegrationSpec{Type: "AWS_PROXY", URI: arnOf("F"), TimeoutMillis: 29_001}), iot.ErrInvalid},
		{"payload 2.0 of a WebSocket API", integration(iot.APIIntegrationSpec{Type: "AWS_PROXY", URI: arnOf("F"), PayloadFormat: "2.0"}), iot.ErrInvalid},
		{"$default of a WebSocket API", stage(ws, iot.APIStageSpec{Name: "$default"}), iot.ErrInvalid},
		{"a stage that is there", stage(ws, iot.APIStageSpec{Name: "prod"}), iot.ErrExists},
		{"a deployment that is none", stage(ws, iot.APIStageSpec{Name: "dev", DeploymentID: "abc"}), iot.ErrInvalid},
		{"execution logs", stage(ws, iot.APIStageSpec{Name: "dev", DefaultLimits: iot.APIRouteSettings{LoggingLevel: "INFO"}}), iot.ErrUnsupported},
		{"a JWT authorizer of a WebSocket API", authorizer(ws, iot.APIAuthorizerSpec{Name: "z", Type: "JWT"}), iot.ErrInvalid},
		{"an issuer whose keys anybody could change", authorizer(api, iot.APIAuthorizerSpec{
			Name: "z", Type: "JWT", IdentitySources: []string{"$request.header.Authorization"},
			JWT: &iot.APIJWT{Issuer: "http://issuer.example", Audience: []string{"app"}},
		}), iot.ErrInvalid},
		{"an authorizer without a payload format", authorizer(api, iot.APIAuthorizerSpec{Name: "z", Type: "REQUEST", URI: arnOf("F")}), iot.ErrInvalid},
		{"an identity source that is none", authorizer(ws, iot.APIAuthorizerSpec{Name: "z", Type: "REQUEST", URI: arnOf("F"), IdentitySources: []string{"header.X"}}), iot.ErrInvalid},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, tt.err, tt.want)
		}
	}
	if n := len(need[[]iot.APIRoute](t)(w.Routes().List(ws))); n != 1 {
		t.Errorf("%d routes after what was refused", n)
	}
	target := need[[]iot.APIIntegration](t)(w.Integrations().List(ws))[0].ID
	if err := w.Integrations().Delete(ws, target); !errors.Is(err, iot.ErrConflict) {
		t.Errorf("deleting the target of a route: %v", err)
	}
	for i := range mostStages - 1 {
		if err := stage(ws, iot.APIStageSpec{Name: "s" + string(rune('0'+i))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := stage(ws, iot.APIStageSpec{Name: "more"}); !errors.Is(err, iot.ErrLimit) {
		t.Errorf("an eleventh stage: %v", err)
	}
}

func TestChangeThatIsRefusedLeavesWhatIsServed(t *testing.T) {
	w := newWorld(t, nil)
	api := w.make(iot.APIHTTP, "prod", nil)
	need[iot.APIStage](t)(w.Stages().Update(api, "prod", func(s *iot.APIStageSpec) error { s.Variables = map[string]string{"a": "1"}; return nil }))
	_, err := w.Stages().Update(api, "prod", func(s *iot.APIStageSpec) error {
		s.Variables["a"] = "2"
		return io.ErrUnexpectedEOF
	})
	if got := need[iot.APIStage](t)(w.Stages().Get(api, "prod")); err == nil || got.Variables["a"] != "1" {
		t.Errorf("%v, and the variable is %s", err, got.Variables["a"])
	}
}

func TestOwnStackIsShownServedAndNotChanged(t *testing.T) {
	own := BuiltIn{
		ID: "fieldline0", Name: "IoTWebsocketAPI", Protocol: iot.APIWebSocket, Stage: "prod", FunctionARN: arnOf(""),
		Routes:  map[string]string{"$connect": "OnConnect", "$disconnect": "OnDisconnect"},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) }),
	}
	w := newWorld(t, func(c *Config) { c.BuiltIn = []BuiltIn{own} })
	w.functions.run["OnConnect"] = answers(`{"statusCode":200}`)
	doc := need[iot.API](t)(w.API("fieldline0"))
	if doc.Endpoint != "ws://127.0.0.1:8080/fieldline0" || len(w.APIs()) != 1 {
		t.Errorf("%+v of %d", doc, len(w.APIs()))
	}
	for path, want := range map[string]string{
		"/prod": "/prod", "/prod/a%2Fb": "/prod/a/b", "/api/things": `{"message":"Not Found"}`, "/production": `{"message":"Not Found"}`, "/": `{"message":"Not Found"}`,
	} {
		if got := w.ask("GET", "/fieldline0"+path, "").Body.String(); got != want {
			t.Errorf("%s: served %s, want %s", path, got, want)
		}
	}
	if _, err := w.Routes().Create("fieldline0", iot.APIRouteSpec{Key: "x"}); !errors.Is(err, iot.ErrConflict) {
		t.Errorf("a route more: %v", err)
	}
	if err := w.DeleteAPI("fieldline0"); !errors.Is(err, iot.ErrConflict) {
		t.Errorf("deleting: %v", err)
	}
	w.functions.denied = true // the stack needs no permission
	request, _ := http.NewRequest("GET", "/prod", nil)
	w.Stage("fieldline0", "prod").ServeHTTP(&discard{header: http.Header{}}, request)
	if w.sockets.stage != "fieldline0/prod" || !strings.Contains(w.functions.last(t), `"eventType":"CONNECT"`) {
		t.Errorf("a user's OnConnect at /prod: %+v", w.sockets)
	}
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

func TestTags(t *testing.T) {
	w := newWorld(t, nil)
	api := w.make(iot.APIHTTP, "prod", nil)
	for _, arn := range []string{"arn:aws:apigateway:us-east-1::/apis/" + api, "arn:aws:apigateway:us-east-1::/apis/" + api + "/stages/prod"} {
		if err := w.Retag(arn, func(tags map[string]string) { tags["a"] = "1" }); err != nil {
			t.Fatal(err)
		}
		if tags := need[map[string]string](t)(w.Tags(arn)); tags["a"] != "1" {
			t.Errorf("%s: %v", arn, tags)
		}
	}
	if _, err := w.Tags("arn:aws:apigateway:us-east-1::/restapis/x"); !errors.Is(err, iot.ErrInvalid) {
		t.Errorf("a foreign ARN: %v", err)
	}
}
