package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

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
