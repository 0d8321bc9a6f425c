package servertest

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// refused checks that a server does not start, and why.
func refused(t *testing.T, cfg server.Config, reasons ...string) error {
	t.Helper()
	_, err := server.New(cfg)
	if err == nil {
		t.Fatal("the server starts")
	}
	for _, reason := range reasons {
		if !strings.Contains(err.Error(), reason) {
			t.Errorf("the error lacks %q: %v", reason, err)
		}
	}
	return err
}

func TestDataFolderInUseByAnotherProcess(t *testing.T) {
	data := t.TempDir()
	s := Start(t, func(c *server.Config) { c.Data = data })
	devices := loaders(s, 1)
	s.Stop()
	other := spawn(t, data)
	wait := load(t, other.addresses.Device, devices)
	devices[0].awaitAcks(t, 1)
	if err := refused(t, Config(data), data, "in use by another fieldline", "--data"); !errors.Is(err, iot.ErrConflict) {
		t.Errorf("%v is no conflict", err)
	}
	devices[0].awaitAcks(t, 50) // the one that has the folder goes on
	other.stop(t)
	wait()
	checkAll(t, spawn(t, data), devices)
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	s := Start(t)
	config, _ := s.Device("d")
	s.Connect("d", config, mqtt.V311).Publish(server.GuideTopic, `{"device_id":"d","n":1}`)
	s.Stop()
	for flag, set := range map[string]func(*server.Config){
		"--device-addr":       func(c *server.Config) { c.DeviceAddrs = []string{"127.0.0.1:0", addr} },
		"--device-https-addr": func(c *server.Config) { c.DeviceHTTPSAddr = addr },
		"--mqtt-addr":         func(c *server.Config) { c.MQTTAddr = addr },
		"--gateway-addr":      func(c *server.Config) { c.GatewayAddr = addr },
		"--control-addr":      func(c *server.Config) { c.ControlAddr = addr },
	} {
		t.Run(flag, func(t *testing.T) {
			cfg := s.Config
			set(&cfg)
			refused(t, cfg, flag+" "+addr, "in use by another program", "another address")
		})
	}
	s.Restart() // each refusal has let go of the folder and of the other ports
	if got := s.Latest("d"); !strings.Contains(got, `"n":1`) {
		t.Errorf("latest is %s", got)
	}
}

func TestDataFolderOfAnotherAccount(t *testing.T) {
	s := Start(t)
	s.Stop()
	cfg := s.Config
	cfg.Account.Region = "eu-central-1"
	refused(t, cfg, s.Config.Data, "us-east-1", "--region us-east-1")
}

// TestDataFolderStaysWhatItBeganAs restarts an empty folder without --empty and one
// of the guide with it: neither turns into the other.
func TestDataFolderStaysWhatItBeganAs(t *testing.T) {
	for name, empty := range map[string]bool{"an empty one": true, "the guide's": false} {
		t.Run(name, func(t *testing.T) {
			s := Start(t, func(c *server.Config) { c.Empty = empty })
			s.Config.Empty = !empty
			s.Restart()
			var apis struct{ Items []struct{ Name string } }
			s.Control("apigateway", "GET", "/v2/apis", nil, &apis)
			var rules struct{ Rules []struct{ RuleName string } }
			s.Control("iot", "GET", "/rules", nil, &rules)
			want := 2
			if empty {
				want = 0
			}
			if len(apis.Items) != want || len(rules.Rules) != want/2 {
				t.Errorf("it has the APIs %v and the rules %v", apis.Items, rules.Rules)
			}
		})
	}
}
