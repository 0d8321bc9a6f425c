package server

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
)

func TestSettingsOfTheGate(t *testing.T) {
	const issuer = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE"
	for _, tt := range []struct {
		name   string
		change func(*Config)
		says   string
	}{
		{"an issuer and its audience", func(c *Config) { c.JWTIssuer, c.JWTAudiences = issuer, []string{"a", "b"} }, ""},
		{"no bounds", func(c *Config) { c.ConnectRate, c.ConnectBurst, c.RequestRate, c.RequestBurst = 0, 0, 0, 0 }, ""},
		{"no audience", func(c *Config) { c.JWTIssuer = issuer }, "--jwt-audience"},
		{"an empty audience", func(c *Config) { c.JWTIssuer, c.JWTAudiences = issuer, []string{""} }, "--jwt-audience"},
		{"no issuer", func(c *Config) { c.JWTAudiences = []string{"a"} }, "--jwt-issuer"},
		{"an issuer without encryption", func(c *Config) { c.JWTIssuer, c.JWTAudiences = "http://idp.example", []string{"a"} }, "must be https"},
		{"an issuer of an open gateway", func(c *Config) { c.JWTIssuer, c.JWTAudiences, c.GatewayOpen = issuer, []string{"a"}, true }, "--gateway-open"},
		{"a negative rate", func(c *Config) { c.ConnectRate = -1 }, "--connect-rate -1"},
		{"no burst", func(c *Config) { c.RequestBurst = 0 }, "--request-burst 0"},
	} {
		cfg := DefaultConfig()
		tt.change(&cfg)
		err := cfg.Validate()
		if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestAccess(t *testing.T) {
	for _, tt := range []struct {
		cfg        Config
		addr, want string
	}{
		{Config{}, "127.0.0.1:8080", awsapi.GatewayOpen},
		{Config{}, "[::]:8080", awsapi.GatewayOperator},
		{Config{GatewayOpen: true}, "192.0.2.1:8080", awsapi.GatewayOpen},
		{Config{JWTIssuer: "https://idp.example"}, "127.0.0.1:8080", awsapi.GatewayToken},
	} {
		s := &Server{cfg: tt.cfg}
		s.addresses.Gateway = tt.addr
		if got := s.access(); got != tt.want {
			t.Errorf("%+v at %s: %s, want %s", tt.cfg, tt.addr, got, tt.want)
		}
	}
}

func TestAnOpenGatewayIsRepeatedInTheLog(t *testing.T) {
	for addr, want := range map[string]int{"0.0.0.0:8080": 4, "127.0.0.1:8080": 0} {
		synctest.Test(t, func(t *testing.T) {
			var log strings.Builder
			s := &Server{cfg: Config{GatewayOpen: true}, log: slog.New(slog.NewTextHandler(&log, nil))}
			s.addresses.Gateway = addr
			ctx, stop := context.WithTimeout(t.Context(), 3*openReminder+time.Second)
			defer stop()
			if err := s.warnOpen(ctx); err != nil {
				t.Error(err)
			}
			if got := strings.Count(log.String(), "--gateway-open: everyone"); got != want {
				t.Errorf("%s: %d warnings, want %d", addr, got, want)
			}
		})
	}
}
