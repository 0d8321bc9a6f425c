package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/fieldline-iot/fieldline/bench/process"
)

// fieldline starts the program under test. A start with mutual TLS is on a copy
// of a data folder that knows the fleet; a plain one is on an empty folder.
type fieldline struct {
	s      settings
	data   string // the folder that knows the fleet
	enroll func() (*fleet, error)
}

func newFieldline(s settings, dir string) *fieldline {
	f := &fieldline{s: s, data: filepath.Join(dir, "fieldline-data")}
	f.enroll = sync.OnceValues(func() (*fleet, error) { return f.newFleet(s.idle) })
	return f
}

func (f *fieldline) fleet(context.Context) (*fleet, error) { return f.enroll() }

func (f *fieldline) start(ctx context.Context, secure bool) (r running, err error) {
	dir, err := os.MkdirTemp("", "bench-broker-")
	if err != nil {
		return r, err
	}
	var args []string
	if f.s.cpuProfile != "" {
		args = append(args, "--cpu-profile", f.s.cpuProfile)
	}
	if f.s.memProfile != "" {
		args = append(args, "--mem-profile", f.s.memProfile)
	}
	data := filepath.Join(dir, "data")
	if !secure {
		return f.up(ctx, dir, data, func(a addresses) string { return a.MQTT }, append(args, "--mqtt-addr", "127.0.0.1:0")...)
	}
	// Not os.CopyFS: it would let others read the keys, and fieldline not start.
	if text, err := exec.CommandContext(ctx, "cp", "-a", f.data, data).CombinedOutput(); err != nil {
		return r, fmt.Errorf("copying the data folder: %w\n%s", err, text)
	}
	return f.up(ctx, dir, data, func(a addresses) string { return a.Device }, args...)
}

// addresses are those of the ready file.
type addresses struct{ MQTT, Device, Control string }

// up starts the server; dir is removed when it stops.
func (f *fieldline) up(ctx context.Context, dir, data string, which func(addresses) string, args ...string) (r running, err error) {
	file := filepath.Join(dir, "ready.json")
	cmd := exec.CommandContext(ctx, f.s.fieldline, append([]string{
		"up", "--data", data, "--ready-file", file, "--log-level", "warn",
		"--device-addr", "127.0.0.1:0", "--device-https-addr", "127.0.0.1:0", "--gateway-addr", "127.0.0.1:0", "--control-addr", "127.0.0.1:0",
	}, args...)...)
	r.Process, err = process.Start(cmd, dir, func() (string, bool) {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", false
		}
		var a addresses
		if json.Unmarshal(text, &a) != nil {
			return "", false
		}
		r.metrics = "http://" + a.Control + "/metrics"
		return which(a), which(a) != ""
	})
	return r, err
}

// newFleet makes the data folder that knows n things, each with a certificate
// under IoTBasicPolicy.
func (f *fieldline) newFleet(n int) (devices *fleet, err error) {
	fmt.Fprintln(os.Stderr, "enrolling", n, "devices with fieldline")
	dir, err := os.MkdirTemp("", "bench-broker-")
	if err != nil {
		return nil, err
	}
	running, err := f.up(context.Background(), dir, f.data, func(a addresses) string { return a.Control })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, running.Stop()) }()
	c, err := newControl(running.Addr, f.data)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(f.data, "ca", "AmazonRootCA1.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New("fieldline's root certificate cannot be read")
	}
	devices = &fleet{names: make([]string, n), configs: make([]*tls.Config, n)}
	return devices, atOnce(connectors, n, func(i int) error {
		devices.names[i] = fmt.Sprintf("device-%05d", i)
		cert, err := c.enroll(devices.names[i])
		devices.configs[i] = deviceConfig(roots, cert)
		return err
	})
}

// enroll creates a thing with a certificate for a key made here.
func (c *control) enroll(name string) (cert tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return cert, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	if err != nil {
		return cert, err
	}
	request := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	var issued struct{ CertificateArn, CertificatePem string }
	if err := c.ask("POST", "/certificates?setAsActive=true", map[string]string{"certificateSigningRequest": request}, &issued); err != nil {
		return cert, err
	}
	if err := errors.Join(
		c.ask("POST", "/things/"+name, struct{}{}, nil),
		c.ask("PUT", "/target-policies/IoTBasicPolicy", map[string]string{"target": issued.CertificateArn}, nil),
		c.ask("PUT", "/things/"+name+"/principals", nil, nil, "X-Amzn-Principal", issued.CertificateArn),
	); err != nil {
		return cert, err
	}
	block, _ := pem.Decode([]byte(issued.CertificatePem))
	if block == nil {
		return cert, fmt.Errorf("the certificate of %s is not PEM", name)
	}
	return tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}, nil
}
