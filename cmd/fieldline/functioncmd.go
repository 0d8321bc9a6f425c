package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/function"
)

// deployment is what `function deploy` asks for.
type deployment struct {
	from, runtime, handler, role string
	timeout, memory              int
}

func functionCommand(t *target) *cobra.Command {
	return group("function", "List, deploy, invoke and delete functions", "  fieldline function deploy hello --from build/hello\n  fieldline function invoke hello '{\"name\":\"you\"}'",
		&cobra.Command{
			Use: "list", Short: "List functions, built-in ones too", Example: "  fieldline function list", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return t.listFunctions(c) },
		},
		&cobra.Command{
			Use: "show NAME", Short: "Print a function's configuration as AWS answers it", Example: "  fieldline function show ProcessIoTData", Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				var configuration json.RawMessage
				if err := t.call(c.Context(), request{service: "lambda", method: "GET", path: functionPath(args[0]) + "/configuration"}, nil, &configuration); err != nil {
					return err
				}
				return printIndented(c, configuration)
			},
		},
		t.functionDeploy(),
		t.functionInvoke(),
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

func (t *target) listFunctions(c *cobra.Command) error {
	out := newRows(c.OutOrStdout(), "FUNCTION", "RUNTIME", "MB", "SECONDS", "CHANGED", "DESCRIPTION")
	query := url.Values{}
	for {
		var page struct {
			Functions  []json.RawMessage
			NextMarker string
		}
		if err := t.call(c.Context(), request{service: "lambda", method: "GET", path: "/2015-03-31/functions", query: query}, nil, &page); err != nil {
			return out.end(err)
		}
		for _, raw := range page.Functions {
			var f struct {
				FunctionName, Runtime, LastModified, Description string
				MemorySize, Timeout                              int
			}
			if err := json.Unmarshal(raw, &f); err != nil {
				return out.end(err)
			}
			out.add(raw, f.FunctionName, f.Runtime, strconv.Itoa(f.MemorySize), strconv.Itoa(f.Timeout), f.LastModified, f.Description)
		}
		if page.NextMarker == "" {
			return out.end(nil)
		}
		query.Set("Marker", page.NextMarker)
	}
}

func (t *target) functionInvoke() *cobra.Command {
	var later bool
	c := &cobra.Command{
		Use: "invoke NAME [EVENT]", Short: "Run a function on an event and print its answer",
		Long: `Runs a function on an event, JSON ({} when there is none; - reads it from standard
input), and prints its answer. What the function logged goes to standard error. When
the function fails, its error is the answer and the exit status is 1.`,
		Example: "  fieldline function invoke FetchIoTData '{\"queryStringParameters\":{\"device_id\":\"MyDevice001\"}}'\n  fieldline function invoke hello - <event.json",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			event := []byte("{}")
			if len(args) == 2 {
				event = []byte(args[1])
			}
			if string(event) == "-" {
				var err error
				if event, err = io.ReadAll(c.InOrStdin()); err != nil {
					return err
				}
			}
			if later {
				return t.invokeLater(c, args[0], event)
			}
			return t.invoke(c, args[0], event)
		},
	}
	c.Flags().BoolVar(&later, "async", false, "have it run later, with retries, and do not wait for its answer")
	return c
}

func (t *target) invokeLater(c *cobra.Command, name string, event []byte) error {
	return t.call(c.Context(), request{
		service: "lambda", method: "POST", path: functionPath(name) + "/invocations", body: event,
		header: map[string]string{"X-Amz-Invocation-Type": "Event"},
	}, nil, nil)
}

func (t *target) invoke(c *cobra.Command, name string, event []byte) error {
	res, err := t.send(c.Context(), request{
		service: "lambda", method: "POST", path: functionPath(name) + "/invocations", body: event,
		header: map[string]string{"X-Amz-Log-Type": "Tail"},
	})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	tail, err := base64.StdEncoding.DecodeString(res.Header.Get("X-Amz-Log-Result"))
	if err != nil {
		return fmt.Errorf("the log of %s: %w", name, err)
	}
	_, _ = c.ErrOrStderr().Write(tail)
	if _, err := fmt.Fprintf(c.OutOrStdout(), "%s\n", answer); err != nil {
		return err
	}
	if res.Header.Get("X-Amz-Function-Error") != "" {
		return fmt.Errorf("function %s failed", name)
	}
	return nil
}
