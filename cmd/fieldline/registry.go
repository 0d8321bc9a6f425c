package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func certCommand(t *target) *cobra.Command {
	return group("cert", "List certificates and change their state", "  fieldline cert list\n  fieldline cert revoke 3fa9c1…",
		&cobra.Command{
			Use: "list", Short: "List certificates", Example: "  fieldline cert list", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return t.listCertificates(c) },
		},
		t.setStatusCommand("activate", "ACTIVE", "Let a certificate connect"),
		t.setStatusCommand("deactivate", "INACTIVE", "Keep a certificate from connecting; its connections end at once"),
		t.setStatusCommand("revoke", "REVOKED", "Revoke a certificate; its connections end at once"),
	)
}

func (t *target) listCertificates(c *cobra.Command) error {
	out := newRows(c.OutOrStdout(), "CERTIFICATE", "STATUS", "POLICIES", "THINGS")
	err := t.pages(c.Context(), "/certificates", "certificates", func(raw json.RawMessage) error {
		var cert struct{ CertificateID, CertificateARN, Status string }
		if err := json.Unmarshal(raw, &cert); err != nil {
			return err
		}
		var policies []string
		err := t.attached(c.Context(), cert.CertificateARN, func(name string) { policies = append(policies, name) })
		if err != nil {
			return err
		}
		things, err := t.thingsOf(c.Context(), cert.CertificateARN)
		if err != nil {
			return err
		}
		out.add(raw, cert.CertificateID, cert.Status, strings.Join(policies, " "), strings.Join(things, " "))
		return nil
	})
	return out.end(err)
}

// attached calls each with every policy of a certificate.
func (t *target) attached(ctx context.Context, arn string, each func(name string)) error {
	var page struct {
		Policies []struct{ PolicyName string }
	}
	err := t.iot(ctx, "POST", "/attached-policies/"+url.PathEscape(arn), nil, &page)
	for _, p := range page.Policies {
		each(p.PolicyName)
	}
	return err
}

func (t *target) thingsOf(ctx context.Context, arn string) ([]string, error) {
	var page struct{ Things []string }
	err := t.call(ctx, request{service: "iot", method: "GET", path: "/principals/things", header: map[string]string{"x-amzn-principal": arn}}, nil, &page)
	return page.Things, err
}

func (t *target) setStatusCommand(use, status, short string) *cobra.Command {
	return &cobra.Command{
		Use: use + " CERTIFICATE", Short: short, Example: "  fieldline cert " + use + " 3fa9c1…", Args: cobra.ExactArgs(1),
		Long: short + ". The certificate is named by its id or by the beginning of it.",
		RunE: func(c *cobra.Command, args []string) error {
			id, err := t.certificate(c.Context(), args[0])
			if err != nil {
				return err
			}
			r := request{service: "iot", method: "PUT", path: "/certificates/" + id, query: url.Values{"newStatus": {status}}}
			if err := t.call(c.Context(), r, nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "certificate %s is %s\n", id, status)
			return nil
		},
	}
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

func policyCommand(t *target) *cobra.Command {
	return group("policy", "List, show and create policies", "  fieldline policy show IoTBasicPolicy",
		&cobra.Command{
			Use: "list", Short: "List policies", Example: "  fieldline policy list", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				out := newRows(c.OutOrStdout(), "POLICY", "ARN")
				return out.end(t.pages(c.Context(), "/policies", "policies", func(raw json.RawMessage) error {
					var p struct{ PolicyName, PolicyARN string }
					if err := json.Unmarshal(raw, &p); err != nil {
						return err
					}
					out.add(raw, p.PolicyName, p.PolicyARN)
					return nil
				}))
			},
		},
		&cobra.Command{
			Use: "show NAME", Short: "Print a policy's document", Example: "  fieldline policy show IoTBasicPolicy", Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				var p struct{ PolicyDocument string }
				if err := t.iot(c.Context(), "GET", "/policies/"+url.PathEscape(args[0]), nil, &p); err != nil {
					return err
				}
				fmt.Fprintln(c.OutOrStdout(), strings.TrimSpace(p.PolicyDocument))
				return nil
			},
		},
		&cobra.Command{
			Use: "create NAME FILE.json", Short: "Create a policy from a document", Example: "  fieldline policy create IoTBasicPolicy iot-policy.json", Args: cobra.ExactArgs(2),
			RunE: func(c *cobra.Command, args []string) error {
				_, err := t.createPolicy(c, args[0], args[1])
				return err
			},
		},
		&cobra.Command{
			Use: "update NAME FILE.json", Short: "Put a new document in force, as the policy's default version", Example: "  fieldline policy update IoTBasicPolicy narrower.json", Args: cobra.ExactArgs(2),
			RunE: func(c *cobra.Command, args []string) error { return t.updatePolicy(c, args[0], args[1]) },
		},
	)
}

func (t *target) updatePolicy(c *cobra.Command, name, file string) error {
	document, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	in := struct {
		Document string `json:"policyDocument"`
	}{string(document)}
	return t.call(c.Context(), request{
		service: "iot", method: "POST", path: "/policies/" + url.PathEscape(name) + "/version", query: url.Values{"setAsDefault": {"true"}},
	}, in, nil)
}
