package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
	"github.com/fieldline-iot/fieldline/internal/server"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// sqlOptions are the message that a statement is tried on.
type sqlOptions struct {
	topic, payload, payloadFile, version, clientID string
	timestamp                                      int64 // ms
}

func sqlCommand() *cobra.Command {
	var o sqlOptions
	c := &cobra.Command{
		Use:   "sql --topic T [--payload JSON | --payload-file F] 'SELECT …'",
		Short: "Evaluate one rule statement on one message, without a server",
		Long: `Evaluates a statement as the rule engine does and prints its result.

Exit code 0: it fired; 2: it does not parse; 3: it did not fire (its topic filter
or its WHERE did not match).`,
		Example: `  fieldline sql --topic sensor/data --payload '{"temperature":31}' "SELECT temperature AS t FROM 'sensor/data' WHERE temperature > 30"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			payload, err := o.read(c.InOrStdin())
			if err != nil {
				return err
			}
			return o.evaluate(c.OutOrStdout(), args[0], payload)
		},
	}
	f := c.Flags()
	f.StringVar(&o.topic, "topic", "", "topic of the message")
	f.StringVar(&o.payload, "payload", "", "payload of the message")
	f.StringVar(&o.payloadFile, "payload-file", "", "file with the payload; - is standard input")
	f.StringVar(&o.version, "sql-version", "2016-03-23", "2015-10-08, 2016-03-23 or beta")
	f.StringVar(&o.clientID, "client-id", "", "what clientid() answers")
	f.Int64Var(&o.timestamp, "timestamp", 0, "what timestamp() answers, in milliseconds; 0 is now")
	_ = c.MarkFlagRequired("topic")
	c.MarkFlagsMutuallyExclusive("payload", "payload-file")
	return c
}

func (o *sqlOptions) read(in io.Reader) ([]byte, error) {
	switch o.payloadFile {
	case "":
		return []byte(o.payload), nil
	case "-":
		return io.ReadAll(in)
	}
	text, err := os.ReadFile(o.payloadFile)
	if err != nil {
		return nil, fmt.Errorf("--payload-file: %w", err)
	}
	return text, nil
}

func (o *sqlOptions) evaluate(out io.Writer, sql string, payload []byte) error {
	statement, err := iotsql.Parse(sql, o.version)
	if err != nil {
		return wrongUse(explainSQL(err))
	}
	if err := topic.ValidName(o.topic); err != nil {
		return wrongUse(fmt.Errorf("--topic %q: %w", o.topic, err))
	}
	// A topic of Basic Ingest names its rule, whose FROM does not count.
	rule, name := iot.BasicIngest(o.topic)
	if f := statement.Filter(); rule == "" && f != "" && !topic.MatchRule(f, o.topic) {
		return &exitError{3, fmt.Errorf("did not fire: the filter '%s' does not match topic %s", f, o.topic)}
	}
	at := time.Now()
	if o.timestamp != 0 {
		at = time.UnixMilli(o.timestamp)
	}
	message := &iot.Message{Topic: name, Rule: rule, Payload: payload, Origin: iot.Origin{ClientID: o.clientID, Protocol: iot.ProtocolMQTT, Arrived: at}}
	result, err := statement.Eval(&iotsql.Env{Message: message, Account: server.DefaultConfig().Account})
	if err != nil {
		return fmt.Errorf("evaluating: %w", err)
	}
	if !result.Fired {
		return &exitError{3, errors.New("did not fire: WHERE is not true for this payload")}
	}
	_, err = fmt.Fprintf(out, "%s\n", result.Payload)
	return err
}

// explainSQL puts a mark under the place where a statement stops making sense.
func explainSQL(err error) error {
	if syntax, ok := errors.AsType[*iotsql.SyntaxError](err); ok {
		return fmt.Errorf("%w\n%s", err, syntax.Caret())
	}
	return err
}
