package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/function"
)

// deployment is what `function deploy` asks for.
type deployment struct {
	from, runtime, handler, role string
	timeout, memory              int
}

func functionCommand(t *target) *cobra.Command {
	return group("function", "Deploy and delete functions of one's own", "  fieldline function deploy hello --from build/hello\n  fieldline function delete hello",
		t.functionDeploy(),
		&cobra.Command{
			Use: "delete NAME", Short: "Delete a function; a built-in one of its name stands again", Example: "  fieldline function delete hello", Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				return t.call(c.Context(), request{service: "lambda", method: "DELETE", path: functionPath(args[0])}, nil, nil)
			},
		},
	)
}

func functionPath(name string) string { return "/2015-03-31/functions/" + url.PathEscape(name) }

func (t *target) functionDeploy() *cobra.Command {
	var d deployment
	c := &cobra.Command{
		Use: "deploy NAME", Short: "Create a function from a folder, or replace its code",
		Long:    "Packs a folder and creates a function of it. Of a function that is there already the code is replaced and nothing else.",
		Example: "  fieldline function deploy hello --from build/hello\n  fieldline function deploy ProcessIoTData --from app --runtime python3.11 --handler app.handler",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return t.deploy(c, args[0], &d) },
	}
	flags := c.Flags()
	flags.StringVar(&d.from, "from", "", "folder with the code: a bootstrap, or Python (needed)")
	flags.StringVar(&d.runtime, "runtime", "provided.al2023", "provided.al2023, or python3.x")
	flags.StringVar(&d.handler, "handler", "bootstrap", "what the runtime calls, such as app.handler")
	flags.StringVar(&d.role, "role", "arn:aws:iam::123456789012:role/lambda", "ARN of the role that is shown")
	flags.IntVar(&d.timeout, "timeout", 3, "seconds that an invocation may take")
	flags.IntVar(&d.memory, "memory", 128, "MB that it may use")
	_ = c.MarkFlagRequired("from") // fails only for a flag that is not there
	return c
}

func (t *target) deploy(c *cobra.Command, name string, d *deployment) error {
	archive, err := function.Zip(d.from)
	if err != nil {
		return err
	}
	var deployed struct{ FunctionArn, CodeSha256 string }
	err = t.call(c.Context(), request{service: "lambda", method: "POST", path: "/2015-03-31/functions"}, map[string]any{
		"FunctionName": name, "Runtime": d.runtime, "Handler": d.handler, "Role": d.role,
		"Timeout": d.timeout, "MemorySize": d.memory, "Code": map[string]any{"ZipFile": archive},
	}, &deployed)
	if refused, ok := errors.AsType[*apiError](err); ok && refused.status == http.StatusConflict {
		err = t.call(c.Context(), request{service: "lambda", method: "PUT", path: functionPath(name) + "/code"}, map[string]any{"ZipFile": archive}, &deployed)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), deployed.FunctionArn)
	return err
}
