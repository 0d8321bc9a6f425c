package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/fieldline-iot/fieldline/bench/process"
)

const region = "us-east-1"

// endpoint is a server that speaks AWS's protocols.
type endpoint struct {
	name string
	url  string
	key  aws.Credentials
	sign *v4.Signer // keeps the keys that it derives
	http *http.Client
	pid  int
	stop func() error
}

// startFieldline starts an empty Fieldline.
func startFieldline(ctx context.Context, path string) (*endpoint, error) {
	dir, err := os.MkdirTemp("", "bench-fieldline-")
	if err != nil {
		return nil, err
	}
	file, data := filepath.Join(dir, "ready.json"), filepath.Join(dir, "data")
	cmd := exec.CommandContext(ctx, path, "up", "--empty", "--data", data, "--ready-file", file, "--log-level", "warn", "--device-addr", "127.0.0.1:0",
		"--device-https-addr", "127.0.0.1:0", "--gateway-addr", "127.0.0.1:0", "--control-addr", "127.0.0.1:0",
		"--connect-rate", "100000", "--connect-burst", "100000", "--request-rate", "1000000", "--request-burst", "1000000")
	running, err := process.Start(cmd, dir, func() (string, bool) {
		text, err := os.ReadFile(file)
		var addresses struct{ Control string }
		return addresses.Control, err == nil && json.Unmarshal(text, &addresses) == nil && addresses.Control != ""
	})
	if err != nil {
		return nil, err
	}
	key, err := readKey(filepath.Join(data, "credentials"))
	if err != nil {
		return nil, err
	}
	return newEndpoint("fieldline", running, key, running.Stop), nil
}

// startPeer starts the DynamoDB to compare with, which takes any key.
func startPeer(ctx context.Context, script string) (*endpoint, error) {
	dir, err := os.MkdirTemp("", "bench-peer-")
	if err != nil {
		return nil, err
	}
	addr, err := process.FreeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.CommandContext(ctx, "node", script, port)
	stdin, err := cmd.StdinPipe() // it ends with its input
	if err != nil {
		return nil, err
	}
	running, err := process.Start(cmd, dir, func() (string, bool) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return "", false
		}
		return addr, c.Close() == nil
	})
	if err != nil {
		return nil, err
	}
	stop := func() error { return errors.Join(stdin.Close(), running.Stop()) }
	return newEndpoint("dynalite 4.0.0 (in memory)", running, aws.Credentials{AccessKeyID: "peer", SecretAccessKey: "peer"}, stop), nil
}

func newEndpoint(name string, running *process.Process, key aws.Credentials, stop func() error) *endpoint {
	transport := &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 256}
	return &endpoint{
		name: name, url: "http://" + running.Addr, pid: running.PID, key: key, sign: v4.NewSigner(),
		http: &http.Client{Transport: transport, Timeout: 2 * time.Minute}, stop: stop,
	}
}

// readKey reads an access key in the AWS shared-credentials format.
func readKey(path string) (key aws.Credentials, err error) {
	f, err := os.Open(path)
	if err != nil {
		return key, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " = ")
		switch name {
		case "aws_access_key_id":
			key.AccessKeyID = value
		case "aws_secret_access_key":
			key.SecretAccessKey = value
		}
	}
	return key, nil
}

// call signs and sends a request of a service and returns the answer's body.
func (e *endpoint) call(ctx context.Context, service, method, path, target string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, e.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if target != "" {
		r.Header.Set("Content-Type", "application/x-amz-json-1.0")
		r.Header.Set("X-Amz-Target", target)
	}
	sum := sha256.Sum256(body)
	if err := e.sign.SignHTTP(ctx, e.key, r, hex.EncodeToString(sum[:]), service, region, time.Now()); err != nil {
		return nil, err
	}
	res, err := e.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s %s %s of %s: %s: %s", method, path, target, e.name, res.Status, text)
	}
	if failure := res.Header.Get("X-Amz-Function-Error"); err == nil && failure != "" {
		err = fmt.Errorf("%s: %s: %s", path, failure, text)
	}
	return text, err
}

// ask is call with JSON in and out; out may be nil.
func (e *endpoint) ask(ctx context.Context, service, method, path, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := e.call(ctx, service, method, path, target, body)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(answer, out)
}
