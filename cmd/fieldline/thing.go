package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/server"
)

func thingCommand(t *target) *cobra.Command {
	return group("thing", "Create and list things", "  fieldline thing create pump-07 --out pump-07",
		thingCreateCommand(t), thingListCommand(t))
}

func thingCreateCommand(t *target) *cobra.Command {
	var dir, policyFile string
	c := &cobra.Command{
		Use:   "create NAME --out DIR [--policy FILE.json]",
		Short: "Create a thing with key, certificate and policy, and write its files",
		Long: `Creates a thing, an active certificate with its key, and attaches them to each
other and to a policy: IoTBasicPolicy, or one named NAME-policy made from the
document in --policy. Writes certificate.pem.crt, private.pem.key, public.pem.key
and AmazonRootCA1.pem, as the guide's step 2 downloads them.`,
		Example: "  fieldline thing create pump-07 --out pump-07\n  fieldline thing create gateway-1 --out gw --policy gateway-policy.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			device, err := t.createThing(c, args[0], policyFile)
			if err != nil {
				return err
			}
			if err := device.Write(dir); err != nil {
				return fmt.Errorf("the thing was created, but its files could not be written: %w", err)
			}
			fmt.Fprintf(c.OutOrStdout(), "thing        %s\ncertificate  %s\npolicy       %s\nfiles        %s\n\nfieldline device --endpoint %s --name %s --certs %s\n",
				device.Thing, device.CertificateID, device.Policy, dir, t.deviceEndpoint(c), device.Thing, shellQuote(dir))
			return nil
		},
	}
	c.Flags().StringVar(&dir, "out", "", "folder for the device's files")
	c.Flags().StringVar(&policyFile, "policy", "", "policy document to use instead of IoTBasicPolicy")
	_ = c.MarkFlagRequired("out")
	return c
}

// createThing does what the guide's step 2 does, with the same API calls.
func (t *target) createThing(c *cobra.Command, name, policyFile string) (*server.Provisioned, error) {
	ctx := c.Context()
	root, err := os.ReadFile(t.rootCA())
	if err != nil {
		return nil, fmt.Errorf("the server's root certificate: %w (name its data folder with --data)", err)
	}
	policy := server.BasicPolicy
	if policyFile != "" {
		if policy, err = t.createPolicy(c, name+"-policy", policyFile); err != nil {
			return nil, err
		}
	}
	if err := t.iot(ctx, "POST", "/things/"+url.PathEscape(name), struct{}{}, nil); err != nil {
		return nil, err
	}
	var issued struct {
		CertificateARN string `json:"certificateArn"`
		CertificateID  string `json:"certificateId"`
		CertificatePEM string `json:"certificatePem"`
		KeyPair        struct{ PublicKey, PrivateKey string }
	}
	err = t.call(ctx, request{service: "iot", method: "POST", path: "/keys-and-certificate", query: url.Values{"setAsActive": {"true"}}}, nil, &issued)
	if err != nil {
		return nil, err
	}
	target := struct {
		Target string `json:"target"`
	}{issued.CertificateARN}
	if err := t.iot(ctx, "PUT", "/target-policies/"+url.PathEscape(policy), target, nil); err != nil {
		return nil, noPolicy(err, policy)
	}
	attach := request{service: "iot", method: "PUT", path: "/things/" + url.PathEscape(name) + "/principals", header: map[string]string{"x-amzn-principal": issued.CertificateARN}}
	if err := t.call(ctx, attach, nil, nil); err != nil {
		return nil, err
	}
	return &server.Provisioned{Thing: name, CertificateID: issued.CertificateID, Policy: policy, Files: map[string]string{
		server.CertificateFile: issued.CertificatePEM,
		server.PrivateKeyFile:  issued.KeyPair.PrivateKey,
		server.PublicKeyFile:   issued.KeyPair.PublicKey,
		server.RootCAFile:      string(root),
	}}, nil
}

// noPolicy explains the usual reason why a policy cannot be attached.
func noPolicy(err error, policy string) error {
	if api := new(apiError); errors.As(err, &api) && api.status == 404 {
		return fmt.Errorf("%w (aws iot create-policy --policy-name %s --policy-document file://iot-policy.json makes it)", err, policy)
	}
	return err
}

func (t *target) createPolicy(c *cobra.Command, name, file string) (string, error) {
	document, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--policy: %w", err)
	}
	in := struct {
		Document string `json:"policyDocument"`
	}{string(document)}
	if err := t.iot(c.Context(), "POST", "/policies/"+url.PathEscape(name), in, nil); err != nil {
		return "", fmt.Errorf("policy %s from %s: %w", name, filepath.Base(file), err)
	}
	return name, nil
}

// deviceEndpoint is what a device on this machine dials.
func (t *target) deviceEndpoint(c *cobra.Command) string {
	status, err := t.status(c.Context())
	if err != nil {
		return "localhost"
	}
	_, port, _ := strings.Cut(status.Addresses.Device, ":")
	if port == "8883" {
		return status.Endpoint
	}
	return status.Endpoint + ":" + port
}

func thingListCommand(t *target) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List things",
		Example: "  fieldline thing list",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			rows := newRows(c.OutOrStdout(), "THING", "TYPE", "ATTRIBUTES")
			err := t.pages(c.Context(), "/things", "things", func(raw json.RawMessage) error {
				var thing struct {
					ThingName, ThingTypeName string
					Attributes               map[string]string
				}
				if err := json.Unmarshal(raw, &thing); err != nil {
					return err
				}
				attributes, err := json.Marshal(thing.Attributes)
				if err != nil || len(thing.Attributes) == 0 {
					attributes = nil
				}
				rows.add(raw, thing.ThingName, thing.ThingTypeName, string(attributes))
				return nil
			})
			return rows.end(err)
		},
	}
}
