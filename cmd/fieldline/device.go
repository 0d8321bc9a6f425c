package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/server"
)

// The guide's device.
const (
	demoDevice = "MyDevice001"
	keepAlive  = 30 * time.Second
)

// deviceOptions are the settings of the guide's device script.
type deviceOptions struct {
	endpoint string // host or host:port
	name     string // thing and client id
	certs    string // folder with the guide's three files
	topic    string
	interval time.Duration
	count    int // readings to publish; 0 is without end
	out      io.Writer
	log      *slog.Logger
}

func deviceCommand() *cobra.Command {
	var o deviceOptions
	c := &cobra.Command{
		Use:   "device --endpoint HOST --name NAME --certs DIR",
		Short: "Run the guide's device: a reading every five seconds over mutual TLS",
		Long: `The guide's device script: it connects with the certificate in --certs (QoS 1,
clean session off, keep-alive 30 s) and publishes temperature and humidity.`,
		Example: "  fieldline thing create pump-07 --out pump-07\n  fieldline device --endpoint localhost --name pump-07 --certs pump-07",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.out = c.OutOrStdout()
			o.log = slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
			err := runDevice(c.Context(), o)
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		},
	}
	c.Flags().StringVar(&o.endpoint, "endpoint", "", "host, or host:port, of the device endpoint (8883 when no port is given)")
	c.Flags().StringVar(&o.name, "name", "", "thing name, used as client id and device_id")
	c.Flags().StringVar(&o.certs, "certs", ".", "folder with certificate.pem.crt, private.pem.key and AmazonRootCA1.pem")
	c.Flags().StringVar(&o.topic, "topic", server.GuideTopic, "topic to publish to")
	c.Flags().DurationVar(&o.interval, "interval", 5*time.Second, "time between readings")
	c.Flags().IntVar(&o.count, "count", 0, "readings to publish before stopping; 0 is without end")
	_ = c.MarkFlagRequired("endpoint")
	_ = c.MarkFlagRequired("name")
	return c
}

// deviceTLS reads the guide's three files.
func deviceTLS(dir string) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, server.CertificateFile), filepath.Join(dir, server.PrivateKeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w (fieldline thing create NAME --out %s makes the files)", err, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("certificate and key in %s: %w", dir, err)
	}
	root, err := os.ReadFile(filepath.Join(dir, server.RootCAFile))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(root) {
		return nil, fmt.Errorf("%s in %s holds no certificate", server.RootCAFile, dir)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// runDevice connects and publishes readings until ctx is done or the count is
// reached. A lost connection is made again; readings wait for it.
func runDevice(ctx context.Context, o deviceOptions) error {
	config, err := deviceTLS(o.certs)
	if err != nil {
		return err
	}
	endpoint := o.endpoint
	if _, _, err := net.SplitHostPort(endpoint); err != nil {
		endpoint = net.JoinHostPort(endpoint, "8883")
	}
	client := mqtt.NewClient(mqtt.NewClientOptions().
		AddBroker("ssl://" + endpoint).SetTLSConfig(config).SetClientID(o.name).
		SetCleanSession(false).SetKeepAlive(keepAlive).SetAutoReconnect(true).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { o.log.Warn("connection lost, reconnecting", "err", err) }))
	if err := wait(ctx, client.Connect()); err != nil {
		return fmt.Errorf("connecting to %s as %s: %w", endpoint, o.name, err)
	}
	defer client.Disconnect(250)
	o.log.Info("device connected", "endpoint", endpoint, "client", o.name)

	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	for n := 1; ; n++ {
		payload := guideReading(o.name, time.Now())
		if err := wait(ctx, client.Publish(o.topic, 1, false, payload)); err != nil {
			return fmt.Errorf("publishing to %s: %w", o.topic, err)
		}
		fmt.Fprintln(o.out, "Published:", payload)
		if n == o.count {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// wait waits for an MQTT operation or for ctx.
func wait(ctx context.Context, t mqtt.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// guideReading is the payload of the guide's device script at one moment, with
// its formulas and in Python's JSON format.
func guideReading(device string, at time.Time) string {
	seconds := float64(at.UnixNano()) / float64(time.Second)
	name, _ := json.Marshal(device) // a string always marshals
	return fmt.Sprintf(`{"device_id": %s, "temperature": %s, "humidity": %s, "ts": %d}`, name,
		hundredths(20+5*math.Mod(seconds, 10)), hundredths(40+3*math.Mod(seconds, 7)), at.Unix())
}

// hundredths prints a number as Python prints round(x, 2).
func hundredths(x float64) string {
	text := strconv.FormatFloat(math.Round(x*100)/100, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// runDemo creates the guide's device where it does not exist yet and runs it
// against the server, over a real connection.
func runDemo(ctx context.Context, s *server.Server, data string, log *slog.Logger) error {
	dir := filepath.Join(data, "demo", demoDevice)
	if _, err := os.Stat(filepath.Join(dir, server.PrivateKeyFile)); errors.Is(err, fs.ErrNotExist) {
		device, err := s.Provision(ctx, demoDevice, true)
		if err != nil {
			return fmt.Errorf("demo device: %w", err)
		}
		if err := device.Write(dir); err != nil {
			return fmt.Errorf("demo device: %w", err)
		}
	}
	err := runDevice(ctx, deviceOptions{
		endpoint: s.Addresses().Device, name: demoDevice, certs: dir, topic: server.GuideTopic,
		interval: 5 * time.Second, out: io.Discard, log: log,
	})
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("demo device: %w", err)
}
