package compat

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// peer says whether the MQTT cases run against Debian's mosquitto instead, which
// shows whether a failure is the broker's or the case's: MQTT_PEER=mosquitto.
func peer() bool { return os.Getenv("MQTT_PEER") == "mosquitto" }

// mqttBroker is a broker over mutual TLS that a test may kill and start again on
// the same data and address.
type mqttBroker struct {
	*fieldline
	addr  string   // host:port
	args  []string // of `fieldline up`, beside the addresses
	ws    string   // host:port of MQTT over WebSocket: the gateway
	wss   string   // the same with TLS
	files string   // folder of a client's certificate, key and root certificate
	start func() *exec.Cmd
	cmd   *exec.Cmd
	ended chan error
}

// mqttUp starts a broker. Its thing "compat" may use every topic and the client ids
// that begin with compat-.
func mqttUp(t *testing.T, args ...string) *mqttBroker {
	t.Helper()
	b := &mqttBroker{fieldline: &fieldline{t: t, data: t.TempDir(), log: new(buffer), out: new(buffer)}, files: filepath.Join(t.TempDir(), "compat"), args: args}
	if peer() {
		b.mosquitto()
		b.run()
		b.listening()
	} else {
		b.program()
	}
	t.Cleanup(func() {
		b.stop(syscall.SIGINT)
		if t.Failed() {
			t.Logf("broker log:\n%s", b.log)
		}
	})
	return b
}

// program starts Fieldline on free ports, and afterwards on the same ones.
func (b *mqttBroker) program() {
	ready := filepath.Join(b.t.TempDir(), "ready.json")
	b.addresses.Device, b.addresses.Device_https = "127.0.0.1:0", "127.0.0.1:0"
	b.addresses.Gateway, b.addresses.Control = "127.0.0.1:0", "127.0.0.1:0"
	b.start = func() *exec.Cmd {
		_ = os.Remove(ready)
		return exec.Command(program, append([]string{
			"up", "--data", b.data, "--ready-file", ready,
			"--device-addr", b.addresses.Device, "--device-https-addr", b.addresses.Device_https,
			"--gateway-addr", b.addresses.Gateway, "--control-addr", b.addresses.Control,
		}, b.args...)...)
	}
	b.run()
	b.eventually("the ready file", func() bool {
		text, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(text, &b.addresses) == nil
	})
	b.addr = "localhost:" + port(b.addresses.Device)
	b.ws, b.wss = b.addresses.Gateway, "localhost:"+port(b.addresses.Gateway)
	policy := filepath.Join(b.t.TempDir(), "policy.json")
	write(b.t, policy, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"iot:Connect","Resource":"arn:aws:iot:us-east-1:123456789012:client/compat-*"},
		{"Effect":"Allow","Action":["iot:Publish","iot:RetainPublish","iot:Subscribe","iot:Receive"],"Resource":"*"}]}`)
	b.command("thing", "create", "compat", "--out", b.files, "--policy", policy)
}

// mosquitto starts Debian's mosquitto with certificates of the test's own.
func (b *mqttBroker) mosquitto() {
	server := filepath.Join(b.data, "server")
	authority := newAuthority(b.t)
	authority.issue(b.t, server, "localhost")
	authority.issue(b.t, b.files, "compat")
	for _, addr := range []*string{&b.addr, &b.ws, &b.wss} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.t.Fatal(err)
		}
		*addr = "localhost:" + port(ln.Addr().String())
		defer ln.Close() // not before all are chosen
	}
	conf := filepath.Join(b.data, "mosquitto.conf")
	write(b.t, conf, fmt.Sprintf(`listener %[1]s 127.0.0.1
user root
cafile %[4]s/AmazonRootCA1.pem
certfile %[4]s/certificate.pem.crt
keyfile %[4]s/private.pem.key
require_certificate true
listener %[2]s 127.0.0.1
protocol websockets
listener %[3]s 127.0.0.1
protocol websockets
certfile %[4]s/certificate.pem.crt
keyfile %[4]s/private.pem.key
allow_anonymous true
persistence true
persistence_location %[5]s/
max_queued_messages 0
log_type error
log_type warning
`, port(b.addr), port(b.ws), port(b.wss), server, b.data))
	program := need(b.t, "mosquitto")
	b.start = func() *exec.Cmd { return exec.Command(program, "-c", conf) }
}

// run starts the process.
func (b *mqttBroker) run() {
	b.t.Helper()
	b.cmd = b.start()
	b.cmd.Stdout, b.cmd.Stderr = b.out, b.log
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan<- error) { ended <- cmd.Wait() }(b.cmd, b.ended)
}

// listening waits until the broker completes TLS handshakes.
func (b *mqttBroker) listening() {
	b.t.Helper()
	config := b.tls()
	b.eventually("the broker at "+b.addr, func() bool {
		conn, err := tls.Dial("tcp", b.addr, config)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

// stop ends the process with a signal and waits for it.
func (b *mqttBroker) stop(signal os.Signal) {
	_ = b.cmd.Process.Signal(signal)
	select {
	case err := <-b.ended:
		if err != nil && signal != syscall.SIGKILL {
			b.t.Errorf("the broker ended with %v", err)
		}
	case <-time.After(patience):
		_ = b.cmd.Process.Kill()
		b.t.Error("the broker did not stop")
	}
}

// restart kills the broker and starts it on what it had written. Only mosquitto,
// which does not sync what it acknowledges, is asked to stop.
func (b *mqttBroker) restart() {
	b.t.Helper()
	if peer() {
		b.stop(syscall.SIGTERM)
	} else {
		b.stop(syscall.SIGKILL)
	}
	b.run()
	b.listening()
}

// in returns the same broker for a subtest; it may not restart it.
func (b *mqttBroker) in(t *testing.T) *mqttBroker {
	sub := *b
	sub.fieldline = b.fieldline.in(t)
	return &sub
}

// file is the path of one of the client's files.
func (b *mqttBroker) file(name string) string { return filepath.Join(b.files, name) }

// tls is a client's configuration with the client's files.
func (b *mqttBroker) tls() *tls.Config {
	b.t.Helper()
	pair, err := tls.LoadX509KeyPair(b.file("certificate.pem.crt"), b.file("private.pem.key"))
	if err != nil {
		b.t.Fatal(err)
	}
	text, err := os.ReadFile(b.file("AmazonRootCA1.pem"))
	if err != nil {
		b.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, ServerName: "localhost"}
}

// play runs a case with a script of sdk/, as the process that it is. When the script
// says that it is ready for it, the broker is restarted.
func (b *mqttBroker) play(script string, args ...string) {
	b.t.Helper()
	args = append([]string{
		"--port", port(b.addr), "--ca", b.file("AmazonRootCA1.pem"),
		"--cert", b.file("certificate.pem.crt"), "--key", b.file("private.pem.key"),
	}, args...)
	if !peer() {
		args = append(args, "--server-aliases")
	}
	b.follow(b.sdk(script, args...))
}

// sdk is a script of sdk/ as a process that is killed if it does not end.
func (b *mqttBroker) sdk(script string, args ...string) *exec.Cmd {
	b.t.Helper()
	interpreter := ".venv/bin/python"
	if strings.HasSuffix(script, ".mjs") {
		interpreter = need(b.t, "node")
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), 3*patience)
	b.t.Cleanup(cancel)
	return exec.CommandContext(ctx, interpreter, append([]string{"sdk/" + script}, args...)...)
}

// follow runs a case's process to its end, and restarts the broker when it asks.
func (b *mqttBroker) follow(cmd *exec.Cmd) {
	b.t.Helper()
	stderr := new(bytes.Buffer)
	cmd.Stderr = stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	checked := 0
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		b.t.Log(lines.Text())
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "ok "):
			checked++
		case line == "ready for the restart":
			b.restart()
			if _, err := io.WriteString(stdin, "restarted\n"); err != nil {
				b.t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		b.t.Errorf("%v: %s", err, stderr)
	} else if checked == 0 {
		b.t.Error("nothing was checked")
	}
}

// authority is a root certificate of a test's own.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := certificate("Compat Root")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

func certificate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

// issue writes a certificate, its key and the root under the guide's file names.
func (a *authority) issue(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := certificate(name)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.DNSNames, template.IPAddresses = []string{name}, []net.IP{net.IPv4(127, 0, 0, 1)}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		"certificate.pem.crt": {Type: "CERTIFICATE", Bytes: der},
		"private.pem.key":     {Type: "PRIVATE KEY", Bytes: private},
		"AmazonRootCA1.pem":   {Type: "CERTIFICATE", Bytes: a.cert.Raw},
	} {
		write(t, filepath.Join(dir, file), string(pem.EncodeToMemory(block)))
	}
}
