// Command mochi is the peer mochi-mqtt as a program: its default capabilities,
// everybody allowed, nothing stored.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:1883", "where to listen")
	root := flag.String("root", "", "ask for client certificates of this authority (PEM)")
	cert := flag.String("cert", "", "the server's certificate (PEM)")
	key := flag.String("key", "", "the server's key (PEM)")
	flag.Parse()
	if err := run(*addr, *root, *cert, *key); err != nil {
		fmt.Fprintln(os.Stderr, "mochi:", err)
		os.Exit(1)
	}
}

func run(addr, root, cert, key string) error {
	config := listeners.Config{ID: "bench", Address: addr}
	if root != "" {
		var err error
		if config.TLSConfig, err = mutual(root, cert, key); err != nil {
			return err
		}
	}
	capabilities := mqtt.NewDefaultServerCapabilities()
	capabilities.ReceiveMaximum = 8192 // above what the load has outstanding
	server := mqtt.New(&mqtt.Options{
		Capabilities: capabilities,
		Logger:       slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err := server.AddHook(new(auth.AllowHook), nil); err != nil {
		return err
	}
	if err := server.AddListener(listeners.NewTCP(config)); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	if err := server.Serve(); err != nil {
		return err
	}
	<-stop
	return server.Close()
}

func mutual(root, cert, key string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(root)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate", root)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}, nil
}
