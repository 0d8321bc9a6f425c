package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// soon is how long before its end a certificate is worth a word.
const soon = 30 * 24 * time.Hour

// webSocket opens the WebSocket as a browser does (guide: the endpoint URL).
func (d *doctor) webSocket(ctx context.Context) []finding {
	address := "ws" + strings.TrimPrefix(d.gatewayURL(), "http") + "/prod"
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	header, err := d.webSocketHeader(ctx, address)
	if err != nil {
		return []finding{{bad, "websocket", err.Error(), "give the address that fieldline up printed with --gateway-addr"}}
	}
	conn, _, _, err := (ws.Dialer{Header: ws.HandshakeHeaderHTTP(header)}).Dial(ctx, address)
	if err != nil {
		return []finding{{bad, "websocket", fmt.Sprintf("%s: %v", address, err), "give the address that fieldline up printed with --gateway-addr"}}
	}
	conn.Close()
	return []finding{{good, "websocket", address + " accepts clients", ""}}
}

// gateway says who may read.
func (d *doctor) gateway(context.Context) []finding {
	host, _, _ := net.SplitHostPort(d.status.Addresses.Gateway)
	switch {
	case d.status.GatewayAccess == awsapi.GatewayToken:
		return []finding{{good, "gateway", "asks readers for a token of the issuer, or the operator's session or signature", ""}}
	case d.status.GatewayAccess == awsapi.GatewayOperator:
		return []finding{{good, "gateway", "answers its operator's session and signature only", ""}}
	case net.ParseIP(host).IsLoopback():
		return []finding{{good, "gateway", "is open to everyone on this machine", ""}}
	default:
		return []finding{{note, "gateway", "--gateway-open: everyone who reaches " + d.status.Addresses.Gateway + " may read every device", "start fieldline up with --jwt-issuer and --jwt-audience"}}
	}
}

// policies points at policies that let a device act as any other (guide: no
// wildcard resources).
func (d *doctor) policies(ctx context.Context) []finding {
	var findings []finding
	account := iot.Account{Region: d.status.Region, ID: d.status.Account}
	err := d.pages(ctx, "/policies", "policies", func(raw json.RawMessage) error {
		var p struct{ PolicyName, PolicyDocument string }
		if err := json.Unmarshal(raw, &p); err != nil {
			return err
		}
		if err := d.iot(ctx, "GET", "/policies/"+url.PathEscape(p.PolicyName), nil, &p); err != nil {
			return err
		}
		document, err := policy.Parse(p.PolicyDocument)
		if err != nil {
			return fmt.Errorf("policy %s: %w", p.PolicyName, err)
		}
		for _, warning := range document.Warnings(account) {
			findings = append(findings, finding{note, "policy", p.PolicyName + ": " + warning, ""})
		}
		return nil
	})
	if err != nil {
		return []finding{{bad, "policy", err.Error(), ""}}
	}
	if findings == nil {
		findings = append(findings, finding{good, "policy", "no policy is wider than it should be", ""})
	}
	return findings
}

// certificates looks for those that cannot connect, or soon cannot.
func (d *doctor) certificates(ctx context.Context) []finding {
	var findings []finding
	total := 0
	err := d.pages(ctx, "/certificates", "certificates", func(raw json.RawMessage) error {
		var c struct{ CertificateID, Status string }
		if err := json.Unmarshal(raw, &c); err != nil {
			return err
		}
		total++
		if c.Status == string(iot.CertificateInactive) {
			findings = append(findings, finding{note, "certificate", fmt.Sprintf("%.12s… is INACTIVE: its device cannot connect", c.CertificateID), "fieldline cert activate " + c.CertificateID})
			return nil
		}
		var described struct {
			CertificateDescription struct{ Validity struct{ NotAfter float64 } }
		}
		if err := d.iot(ctx, "GET", "/certificates/"+c.CertificateID, nil, &described); err != nil {
			return err
		}
		end := time.Unix(int64(described.CertificateDescription.Validity.NotAfter), 0)
		if c.Status == string(iot.CertificateActive) && time.Until(end) < soon {
			findings = append(findings, finding{note, "certificate", fmt.Sprintf("%.12s… ends %s", c.CertificateID, end.Format(time.DateOnly)), "issue a new one, install it, then fieldline cert revoke " + c.CertificateID})
		}
		return nil
	})
	if err != nil {
		return []finding{{bad, "certificate", err.Error(), ""}}
	}
	if findings == nil {
		findings = append(findings, finding{good, "certificate", fmt.Sprintf("%d registered, none near its end", total), ""})
	}
	return findings
}

// deadLetters shows what could not be done.
func (d *doctor) deadLetters(ctx context.Context) []finding {
	var letters []awsapi.DeadLetter
	if err := d.fieldline(ctx, "GET", "dead-letters", nil, &letters); err != nil {
		return []finding{{bad, "dead-letter", err.Error(), ""}}
	}
	if len(letters) == 0 {
		return []finding{{good, "dead-letter", "empty", ""}}
	}
	last := letters[len(letters)-1]
	return []finding{{note, "dead-letter", fmt.Sprintf("%d could not be done; the last, of a message on %s: %s", len(letters), last.Topic, last.Reason), "fieldline dead-letter list"}}
}

// functionLogs looks for failures in the functions' logs (guide: use the logs of
// every Lambda).
func (d *doctor) functionLogs(ctx context.Context) []finding {
	var findings []finding
	for _, name := range []string{"ProcessIoTData", "OnConnect", "OnDisconnect", "FetchIoTData"} {
		var lines []iot.LogLine
		if err := d.fieldline(ctx, "GET", "logs/"+name, nil, &lines); err != nil {
			return []finding{{bad, "functions", err.Error(), ""}}
		}
		failures, last := 0, ""
		for _, l := range lines {
			if strings.HasPrefix(l.Text, "failed:") || strings.HasPrefix(l.Text, "refused:") {
				failures, last = failures+1, l.Text
			}
		}
		if failures > 0 {
			findings = append(findings, finding{note, "functions", fmt.Sprintf("%s logged %d failures; last: %.200s", name, failures, last), "fieldline logs " + name})
		}
	}
	if findings == nil {
		findings = append(findings, finding{good, "functions", "no failure in the functions' logs", ""})
	}
	return findings
}

// deviceEndpointTLS checks the certificate that devices are shown.
func (d *doctor) deviceEndpointTLS(context.Context) []finding {
	root, err := os.ReadFile(d.rootCA())
	if err != nil {
		return []finding{{bad, "devices", err.Error(), "the server makes it at start: restart fieldline up"}}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	addr := d.status.Addresses.Device
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, ServerName: d.status.Endpoint, MinVersion: tls.VersionTLS12})
	if err != nil {
		return []finding{{bad, "devices", fmt.Sprintf("%s as %s: %v", addr, d.status.Endpoint, err), "name the host that devices dial with --hostname"}}
	}
	defer conn.Close()
	end := conn.ConnectionState().PeerCertificates[0].NotAfter
	return []finding{{good, "devices", fmt.Sprintf("%s shows a certificate for %s until %s", addr, d.status.Endpoint, end.Format(time.DateOnly)), ""}}
}

// lowDisk is the free space below which the doctor complains, in bytes; ingest
// itself stops at the store's watermark.
const lowDisk = 1 << 30

func (d *doctor) disk(context.Context) []finding {
	var fs unix.Statfs_t
	if err := unix.Statfs(d.data, &fs); err != nil {
		return []finding{{bad, "disk", err.Error(), ""}}
	}
	free := fs.Bavail * uint64(fs.Bsize)
	text := fmt.Sprintf("%.1f GiB free for %s", float64(free)/(1<<30), d.data)
	if free < lowDisk {
		return []finding{{bad, "disk", text + ": below the watermark nothing more is taken in", "free space, or keep less history with --retention"}}
	}
	return []finding{{good, "disk", text, ""}}
}

// manyFiles is how many files a server of a few thousand devices needs.
const manyFiles = 4096

func openFiles() finding {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return finding{bad, "open files", err.Error(), ""}
	}
	text := fmt.Sprintf("this shell may open %d files, one for each device and client", limit.Cur)
	if limit.Cur < manyFiles {
		return finding{note, "open files", text, fmt.Sprintf("ulimit -n %d before fieldline up", 16*manyFiles)}
	}
	return finding{good, "open files", text, ""}
}
