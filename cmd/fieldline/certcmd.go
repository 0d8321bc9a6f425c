package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/server"
)

func certCommand(t *target) *cobra.Command {
	return group("cert", "List certificates, rotate them and change their state", "  fieldline cert list\n  fieldline cert rotate pump-07 --out pump-07-new",
		&cobra.Command{
			Use: "list", Short: "List certificates with their ends; those within 30 days are marked EXPIRING", Example: "  fieldline cert list", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return t.listCertificates(c) },
		},
		t.rotateCommand(),
		t.setStatusCommand("activate", "ACTIVE", "Let a certificate connect"),
		t.setStatusCommand("deactivate", "INACTIVE", "Keep a certificate from connecting; its connections end at once"),
		t.revokeCommand(),
	)
}

func (t *target) listCertificates(c *cobra.Command) error {
	const page = 500
	out := newRows(c.OutOrStdout(), "CERTIFICATE", "STATUS", "ENDS", "POLICIES", "THINGS")
	for after := ""; ; {
		var raws []json.RawMessage
		err := t.fieldline(c.Context(), "GET", "certificates", url.Values{"after": {after}, "limit": {strconv.Itoa(page)}}, &raws)
		if err != nil {
			return out.end(err)
		}
		for _, raw := range raws {
			var cert awsapi.CertificateState
			if err := json.Unmarshal(raw, &cert); err != nil {
				return out.end(err)
			}
			after = cert.CertificateID
			out.add(raw, cert.CertificateID, statusCell(cert), endCell(cert), strings.Join(cert.Policies, " "), strings.Join(cert.Things, " "))
		}
		if len(raws) < page {
			return out.end(nil)
		}
	}
}

func statusCell(cert awsapi.CertificateState) string {
	if cert.ReplacedBy == "" {
		return string(cert.Status)
	}
	return fmt.Sprintf("%s until %s", cert.Status, cert.ReplacedAt.Local().Format(time.DateTime))
}

func endCell(cert awsapi.CertificateState) string {
	end := cert.NotAfter.UTC().Format(time.DateOnly)
	if cert.Expiry == "" {
		return end
	}
	return end + " " + string(cert.Expiry)
}

// weekOfOverlap is how long both certificates of a rotation are good when nothing
// else is asked for.
const weekOfOverlap = 7 * 24 * time.Hour

func (t *target) rotateCommand() *cobra.Command {
	var dir string
	var overlap time.Duration
	c := &cobra.Command{
		Use:   "rotate THING --out DIR [--overlap 168h]",
		Short: "Replace a thing's certificate; the old one is good until the new one is used",
		Long: `Issues a certificate with a new key that takes the place of the thing's ACTIVE
certificates: it has their policies and things. Both are good until a device has
connected with the new one, or the overlap has passed; then the server makes the
old ones INACTIVE. Bring the files in DIR to the device meanwhile.

After a theft do not wait: fieldline cert revoke ends a certificate at once.`,
		Example: "  fieldline cert rotate pump-07 --out pump-07-new\n  fieldline cert rotate pump-07 --out pump-07-new --overlap 24h",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return t.rotate(c, args[0], dir, overlap) },
	}
	c.Flags().StringVar(&dir, "out", "", "folder for the device's new files")
	c.Flags().DurationVar(&overlap, "overlap", weekOfOverlap, "how long the old certificate is good at most")
	_ = c.MarkFlagRequired("out")
	return c
}

func (t *target) rotate(c *cobra.Command, thing, dir string, overlap time.Duration) error {
	for _, name := range []string{server.CertificateFile, server.PrivateKeyFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%s has a %s already: name another folder, so that the old files are there while they are good", dir, name)
		}
	}
	root, err := os.ReadFile(t.rootCA())
	if err != nil {
		return fmt.Errorf("the server's root certificate: %w (name its data folder with --data)", err)
	}
	var rotated awsapi.Rotated
	err = t.fieldline(c.Context(), "POST", "rotations/"+url.PathEscape(thing), url.Values{"overlap": {overlap.String()}}, &rotated)
	if err != nil {
		return err
	}
	device := server.Provisioned{Files: map[string]string{
		server.CertificateFile: rotated.CertificatePEM,
		server.PrivateKeyFile:  rotated.PrivateKeyPEM,
		server.PublicKeyFile:   rotated.PublicKeyPEM,
		server.RootCAFile:      string(root),
	}}
	if err := device.Write(dir); err != nil {
		return fmt.Errorf("the rotation to certificate %s began, but its files could not be written (begin another one; it replaces this one): %w", rotated.New, err)
	}
	fmt.Fprintf(c.OutOrStdout(), "thing        %s\ncertificate  %s\npolicies     %s\nfiles        %s\nold          %s\n             good until the device has connected with the new one, at most until %s\n\nfieldline device --endpoint %s --name %s --certs %s\n",
		thing, rotated.New, strings.Join(rotated.Policies, " "), dir, strings.Join(rotated.Old, "\n             "),
		rotated.Deadline.Local().Format(time.DateTime), t.deviceEndpoint(c), thing, shellQuote(dir))
	return nil
}

func (t *target) setStatusCommand(use, status, short string) *cobra.Command {
	return &cobra.Command{
		Use: use + " CERTIFICATE", Short: short, Example: "  fieldline cert " + use + " 3fa9c1…", Args: cobra.ExactArgs(1),
		Long: short + ". The certificate is named by its id or by the beginning of it.",
		RunE: func(c *cobra.Command, args []string) error { return t.setStatusOf(c, args[0], status) },
	}
}

func (t *target) setStatusOf(c *cobra.Command, prefix, status string) error {
	id, err := t.certificate(c.Context(), prefix)
	if err != nil {
		return err
	}
	return t.setStatus(c, id, status)
}

func (t *target) setStatus(c *cobra.Command, id, status string) error {
	r := request{service: "iot", method: "PUT", path: "/certificates/" + id, query: url.Values{"newStatus": {status}}}
	if err := t.call(c.Context(), r, nil, nil); err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "certificate %s is %s\n", id, status)
	return nil
}

func (t *target) revokeCommand() *cobra.Command {
	var authority string
	c := &cobra.Command{
		Use:   "revoke CERTIFICATE | --ca CA",
		Short: "Revoke a certificate, or all of a CA's; their connections end at once",
		Long: `Revokes a certificate, which is named by its id or by the beginning of it. With
--ca it revokes every certificate that came under a registered CA, named by its
whole id, after making the CA INACTIVE so that no further ones are registered:
what to do when the CA's key has been stolen.`,
		Example: "  fieldline cert revoke 3fa9c1…\n  fieldline cert revoke --ca 0f6f…",
		Args: func(c *cobra.Command, args []string) error {
			if authority != "" {
				return cobra.NoArgs(c, args)
			}
			return cobra.ExactArgs(1)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if authority != "" {
				return t.revokeAll(c, authority)
			}
			return t.setStatusOf(c, args[0], "REVOKED")
		},
	}
	c.Flags().StringVar(&authority, "ca", "", "id of the registered CA whose certificates are revoked")
	return c
}

// revokeAll makes a CA INACTIVE and revokes its certificates.
func (t *target) revokeAll(c *cobra.Command, authority string) error {
	stop := request{service: "iot", method: "PUT", path: "/cacertificate/" + url.PathEscape(authority), query: url.Values{"newStatus": {"INACTIVE"}}}
	if err := t.call(c.Context(), stop, nil, nil); err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "CA certificate %s is INACTIVE\n", authority)
	return t.pages(c.Context(), "/certificates-by-ca/"+url.PathEscape(authority), "certificates", func(raw json.RawMessage) error {
		var cert struct{ CertificateID, Status string }
		if err := json.Unmarshal(raw, &cert); err != nil || cert.Status == "REVOKED" {
			return err
		}
		return t.setStatus(c, cert.CertificateID, "REVOKED")
	})
}

// certificate finds the one certificate whose id begins so.
func (t *target) certificate(ctx context.Context, prefix string) (string, error) {
	var found []string
	err := t.pages(ctx, "/certificates", "certificates", func(raw json.RawMessage) error {
		var cert struct{ CertificateID string }
		if err := json.Unmarshal(raw, &cert); err != nil {
			return err
		}
		if strings.HasPrefix(cert.CertificateID, prefix) {
			found = append(found, cert.CertificateID)
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", fmt.Errorf("no certificate begins with %s (fieldline cert list shows them)", prefix)
	case len(found) > 1:
		return "", fmt.Errorf("%d certificates begin with %s: give more of the id", len(found), prefix)
	}
	return found[0], nil
}
