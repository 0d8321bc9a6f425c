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

// functionFolders are where functions find what they must be able to read.
type functionFolders struct {
	user     *sandbox.User // whom functions run as; nil: as this process
	unpacked string        // their code; "": beside the zips
	proxy    string        // the proxy's CA
	cache    string        // what holds both, outside the data folder; "": nothing
}

// makeFunctionFolders makes them, whatever the umask.
func makeFunctionFolders(data string) (functionFolders, error) {
	f := functionFolders{proxy: filepath.Join(data, "proxy")}
	folders := []string{f.proxy}
	if user, ok := sandbox.Unprivileged(); ok {
		sum := sha256.Sum256([]byte(data))
		f.user, f.cache = user, filepath.Join(cacheRoot, hex.EncodeToString(sum[:8]))
		f.unpacked, f.proxy = filepath.Join(f.cache, "functions"), filepath.Join(f.cache, "proxy")
		folders = []string{cacheRoot, f.cache, f.proxy}
	}
	for _, dir := range folders {
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil {
			return f, err
		}
	}
	return f, nil
}

// remove takes away what the next start makes anew.
func (f *functionFolders) remove() error {
	err := os.RemoveAll(f.proxy)
	if f.cache != "" {
		err = errors.Join(err, os.RemoveAll(f.cache))
	}
	return err
}

// buildFunctions builds the catalog of functions, and the proxy that leads them to
// the gateway.
func (s *Server) buildFunctions(sockets *listeners) error {
	data, err := filepath.Abs(s.cfg.Data)
	if err != nil {
		return err
	}
	if s.folders, err = makeFunctionFolders(data); err != nil {
		return err
	}
	if s.folders.user == nil {
		s.log.Info("functions of your own run as this user and can read the data folder: start as root to have them run as nobody")
	}
	s.functionKey = newFunctionKey()
	s.proxy, err = sandbox.NewProxy(sandbox.ProxyConfig{
		Listener: sockets.proxy, Dir: s.folders.proxy, Log: s.log,
		// The HTTP door is built later.
		Gateway: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.http.ServeHTTP(w, r) }),
	})
	if err != nil {
		return err
	}
	s.functions, err = function.New(function.Config{
		Account: s.cfg.Account, Permissions: s.store, Readings: readings{s.store}, Connections: connections{s.store},
		Records: s.store.Section("functions"), Dir: filepath.Join(data, "functions"), Unpacked: s.folders.unpacked, User: s.folders.user,
		Platform: s.platform,
		Commit:   func(ctx context.Context, effects []iot.Effect) error { return s.ingest.Apply(ctx, effects...) },
		Enqueue:  func(ctx context.Context, e *iot.Enqueue) error { return s.ingest.Apply(ctx, e) },
		Logs:     s.logGroups.Write, Log: s.log,
	})
	return err
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
