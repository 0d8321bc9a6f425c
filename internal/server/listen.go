package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
)

// listeners are the server's open sockets.
type listeners struct {
	device      []net.Listener
	deviceHTTPS net.Listener // nil when off
	mqtt        net.Listener // nil when off
	gateway     net.Listener
	control     net.Listener
	proxy       net.Listener // of the functions, on loopback
}

// sdkDeviceAddr is the port that the AWS device SDKs dial when none is given.
const sdkDeviceAddr = "127.0.0.1:443"

// listen opens every address of the configuration, or none.
func listen(cfg *Config) (l *listeners, err error) {
	l = new(listeners)
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	for _, addr := range cfg.DeviceAddrs {
		ln, err := open("--device-addr", addr)
		if err != nil {
			return l, err
		}
		l.device = append(l.device, ln)
	}
	if cfg.TryDevice443 {
		ln, err := net.Listen("tcp", sdkDeviceAddr)
		if err != nil {
			cfg.Log.Info("devices must give a port: 443 cannot be bound", "addr", sdkDeviceAddr, "err", err)
		} else {
			l.device = append(l.device, ln)
		}
	}
	for _, s := range []struct {
		flag, addr string
		to         *net.Listener
	}{
		{"--device-https-addr", cfg.DeviceHTTPSAddr, &l.deviceHTTPS},
		{"--mqtt-addr", cfg.MQTTAddr, &l.mqtt},
		{"--gateway-addr", cfg.GatewayAddr, &l.gateway},
		{"--control-addr", cfg.ControlAddr, &l.control},
		{"the functions' proxy", "127.0.0.1:0", &l.proxy},
	} {
		if s.addr == "" {
			continue
		}
		if *s.to, err = open(s.flag, s.addr); err != nil {
			return l, err
		}
	}
	return l, nil
}

// open listens on an address and says in its error how to mend what is wrong.
func open(flag, addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s %s is in use by another program (another fieldline?): stop it, or give another address (port 0 takes a free one)", flag, addr)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("%s %s may not be bound by this user: use a port above 1023, or grant CAP_NET_BIND_SERVICE", flag, addr)
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", flag, addr, err)
	}
	return ln, nil
}

func (l *listeners) close() {
	for _, ln := range append(l.device, l.deviceHTTPS, l.mqtt, l.gateway, l.control, l.proxy) {
		if ln != nil {
			ln.Close()
		}
	}
}

// Addresses are the addresses really bound, as the ready file and the control
// API show them.
type Addresses = awsapi.Addresses

// boundAddresses are the addresses with every device address.
type boundAddresses struct {
	Addresses
	devices []string
}

func (l *listeners) addresses() boundAddresses {
	addr := func(ln net.Listener) string {
		if ln == nil {
			return ""
		}
		return ln.Addr().String()
	}
	b := boundAddresses{Addresses: Addresses{
		Device: addr(l.device[0]), DeviceHTTPS: addr(l.deviceHTTPS), MQTT: addr(l.mqtt),
		Gateway: addr(l.gateway), Control: addr(l.control),
	}}
	for _, ln := range l.device {
		b.devices = append(b.devices, addr(ln))
	}
	return b
}
