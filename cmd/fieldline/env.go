package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
)

func envCommand(t *target) *cobra.Command {
	return &cobra.Command{
		Use:     "env",
		Short:   "Print the export lines that point the AWS CLI, SDKs, the guide's snippets and fieldline here",
		Example: `  eval "$(fieldline env)" && aws iot list-things`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var status awsapi.Status
			if err := t.fieldline(c.Context(), "GET", "status", nil, &status); err != nil {
				return err
			}
			credentials, err := filepath.Abs(filepath.Join(t.data, "credentials"))
			if err != nil {
				return err
			}
			for _, v := range [][2]string{
				{"AWS_ENDPOINT_URL", t.controlURL()},
				{"AWS_SHARED_CREDENTIALS_FILE", credentials},
				{"AWS_REGION", status.Region},
				{"AWS_DEFAULT_REGION", status.Region},
				{"ACCOUNT_ID", status.Account},
				{"IOT_ENDPOINT", status.Endpoint},
				{"WEBSOCKET_API_ID", status.WebSocketAPIID},
				{"WEBSOCKET_URL", status.WebSocketURL},
				{variable("data"), filepath.Dir(credentials)}, // so that fieldline's own commands find it too
				{variable("control-addr"), t.control},
				{variable("gateway-addr"), t.gateway},
			} {
				fmt.Fprintf(c.OutOrStdout(), "export %s=%s\n", v[0], shellQuote(v[1]))
			}
			return nil
		},
	}
}

// shellQuote makes a word that a POSIX shell reads as this text.
func shellQuote(text string) string {
	if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
