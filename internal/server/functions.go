package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"

	"github.com/fieldline-iot/fieldline/internal/function"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sandbox"
)

// buildFunctions builds the catalog of functions.
func (s *Server) buildFunctions() error {
	data, err := filepath.Abs(s.cfg.Data)
	if err != nil {
		return err
	}
	cfg := function.Config{
		Account: s.cfg.Account, Permissions: s.store, Readings: readings{s.store}, Connections: connections{s.store},
		Records: s.store.Section("functions"), Dir: filepath.Join(data, "functions"),
		Platform: s.platform,
		Commit:   func(ctx context.Context, effects []iot.Effect) error { return s.ingest.Apply(ctx, effects...) },
		Enqueue:  func(ctx context.Context, e *iot.Enqueue) error { return s.ingest.Apply(ctx, e) },
		Logs:     s.logGroups.Write, Log: s.log,
	}
	if user, ok := sandbox.Unprivileged(); ok {
		// Functions run as another user, who cannot enter the data folder.
		sum := sha256.Sum256([]byte(data))
		cfg.User, cfg.Unpacked = user, filepath.Join("/var/cache/fieldline", "functions-"+hex.EncodeToString(sum[:8]))
	}
	s.functions, err = function.New(cfg)
	return err
}

// platform is what a function's process finds in its environment, so that the AWS
// SDKs in it call this server.
func (s *Server) platform() map[string]string {
	return map[string]string{
		"AWS_REGION": s.cfg.Account.Region, "AWS_DEFAULT_REGION": s.cfg.Account.Region,
		"AWS_ACCESS_KEY_ID": s.credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY": s.credentials.SecretAccessKey,
		"AWS_ENDPOINT_URL": "http://" + s.addresses.Control,
	}
}
