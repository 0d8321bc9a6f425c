package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"

	"github.com/fieldline-iot/fieldline/internal/function"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sandbox"
)

// cacheRoot is where a server that runs as root keeps what functions, which run as
// another user and cannot enter the data folder, must be able to read.
const cacheRoot = "/var/cache/fieldline"

// buildFunctions builds the catalog of functions, and the proxy that leads them to
// the gateway.
func (s *Server) buildFunctions(sockets *listeners) error {
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
	s.proxyDir = filepath.Join(data, "proxy")
	readable := []string{s.proxyDir} // functions read its CA
	if user, ok := sandbox.Unprivileged(); ok {
		sum := sha256.Sum256([]byte(data))
		cache := filepath.Join(cacheRoot, hex.EncodeToString(sum[:8]))
		cfg.User, cfg.Unpacked, s.proxyDir = user, filepath.Join(cache, "functions"), filepath.Join(cache, "proxy")
		readable = []string{cacheRoot, cache, s.proxyDir}
	}
	for _, dir := range readable {
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil { // whatever the umask
			return err
		}
	}
	s.functionKey = newFunctionKey()
	s.proxy, err = sandbox.NewProxy(sandbox.ProxyConfig{
		Listener: sockets.proxy, Dir: s.proxyDir, Log: s.log,
		// The HTTP door is built later.
		Gateway: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.http.ServeHTTP(w, r) }),
	})
	if err != nil {
		return err
	}
	s.functions, err = function.New(cfg)
	return err
}

// runProxy serves the functions' proxy, and removes its CA at the end.
func (s *Server) runProxy(ctx context.Context) error {
	defer os.RemoveAll(s.proxyDir) // the next start makes another
	return s.proxy.Run(ctx)
}

// platform is what a function's process finds in its environment, so that the AWS
// SDKs in it call this server.
func (s *Server) platform() map[string]string {
	variables := map[string]string{
		"AWS_REGION": s.cfg.Account.Region, "AWS_DEFAULT_REGION": s.cfg.Account.Region,
		"AWS_ACCESS_KEY_ID": s.functionKey.AccessKeyID, "AWS_SECRET_ACCESS_KEY": s.functionKey.SecretAccessKey,
		"AWS_SESSION_TOKEN": s.functionKey.SessionToken,
		"AWS_ENDPOINT_URL":  "http://" + s.addresses.Control,
		// Clients of @connections are mostly told an endpoint in code: this one is for
		// those that ask the environment first.
		"AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": "http://" + s.addresses.Control,
	}
	maps.Copy(variables, s.proxy.Environment())
	return variables
}
