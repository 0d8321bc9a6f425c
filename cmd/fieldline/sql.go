package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
	"github.com/fieldline-iot/fieldline/internal/server"
	"github.com/fieldline-iot/fieldline/internal/topic"
)

// sqlOptions are what a statement is tried on: a message, or what a running server
// has.
type sqlOptions struct {
	topic, payload, payloadFile, version     string
	clientID, principal, sourceIP, accountID string
	timestamp                                int64 // ms
	http, explain                            bool

	filter string // recent messages
	last   int

	replay           time.Duration // stored readings
	from, to, device string
	limit            int
}

func sqlCommand(t *target) *cobra.Command {
	var o sqlOptions
	c := &cobra.Command{
		Use:   "sql --topic T [--payload JSON | --payload-file F] 'SELECT …'",
		Short: "Evaluate one rule statement: on one message, on recent ones or on history",
		Long: `Evaluates a statement as the rule engine does, without any action, and prints its
result: on the message that --topic and --payload make, for which no server is
needed; with --filter on the messages that a running server saw last; with --replay
(or --from and --to) on the readings that it has stored, as messages to --topic.
Those two print a line for each message in a terminal and JSON lines otherwise.

--explain shows the value of each variable of SET and of each part of WHERE.

Exit code 0: it fired; 2: it does not parse; 3: it did not fire (its topic filter
or its WHERE did not match).`,
		Example: `  fieldline sql --topic sensor/data --payload '{"temperature":31}' "SELECT temperature AS t FROM 'sensor/data' WHERE temperature > 30"
  fieldline sql --filter 'sensor/#' --last 5 --explain "SELECT * FROM 'sensor/data' WHERE temperature > 30"
  fieldline sql --replay 24h --device MyDevice001 "SELECT * FROM 'sensor/data' WHERE temperature > 30"`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			switch {
			case o.filter != "":
				return t.tryRecent(c, &o, args[0])
			case o.history():
				return t.replay(c, &o, args[0])
			}
			payload, err := o.read(c.InOrStdin())
			if err != nil {
				return err
			}
			return o.evaluate(c.OutOrStdout(), args[0], payload)
		},
	}
	o.define(c)
	return c
}

func (o *sqlOptions) define(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.topic, "topic", "", "topic of the message; with --replay that of each reading, by default what FROM names")
	f.StringVar(&o.payload, "payload", "", "payload of the message")
	f.StringVar(&o.payloadFile, "payload-file", "", "file with the payload; - is standard input")
	f.StringVar(&o.version, "sql-version", "2016-03-23", "2015-10-08, 2016-03-23 or beta")
	f.StringVar(&o.clientID, "client-id", "", "what clientid() answers")
	f.StringVar(&o.principal, "principal", "", "what principal() answers")
	f.StringVar(&o.sourceIP, "source-ip", "", "what sourceip() answers")
	f.StringVar(&o.accountID, "account-id", "", "what accountid() answers; by default what a new server has")
	f.BoolVar(&o.http, "http", false, "the message was published over HTTP: clientid() answers n/a")
	f.Int64Var(&o.timestamp, "timestamp", 0, "what timestamp() answers, in milliseconds; 0 is now")
	f.BoolVar(&o.explain, "explain", false, "show the variables and each part of WHERE with its value")
	f.StringVar(&o.filter, "filter", "", "evaluate on the last messages of this topic filter that passed the running server")
	f.IntVar(&o.last, "last", 20, "with --filter: on at most this many messages (100 at most)")
	f.DurationVar(&o.replay, "replay", 0, "evaluate on the readings of this time until now, such as 24h")
	f.StringVar(&o.from, "from", "", "evaluate on the readings from this moment on, in milliseconds or as RFC 3339")
	f.StringVar(&o.to, "to", "", "moment before which to end")
	f.StringVar(&o.device, "device", "", "with --replay: only readings of this device")
	f.IntVar(&o.limit, "limit", 0, "with --replay: at most this many readings; 0 is 100,000")
	for _, other := range []string{"payload-file", "filter", "replay", "from", "to"} {
		c.MarkFlagsMutuallyExclusive("payload", other)
		if other != "payload-file" {
			c.MarkFlagsMutuallyExclusive("payload-file", other)
			for _, message := range []string{"client-id", "principal", "source-ip", "account-id", "http", "timestamp"} {
				c.MarkFlagsMutuallyExclusive(message, other)
			}
		}
		if other != "filter" {
			c.MarkFlagsMutuallyExclusive("filter", other)
		}
	}
	c.MarkFlagsMutuallyExclusive("filter", "topic")
	c.MarkFlagsMutuallyExclusive("filter", "device")
	c.MarkFlagsMutuallyExclusive("replay", "from")
	c.MarkFlagsMutuallyExclusive("replay", "to")
}

// history reports whether stored readings are asked for.
func (o *sqlOptions) history() bool { return o.replay != 0 || o.from != "" || o.to != "" }

// check refuses options that do not go together.
func (o *sqlOptions) check() error {
	switch {
	case o.replay < 0:
		return wrongUse(fmt.Errorf("--replay %s: a length of time", o.replay))
	case o.filter == "" && !o.history() && o.topic == "":
		return wrongUse(errors.New("on what message? --topic T [--payload …] makes one, --filter F takes the last ones of a running server, --replay 24h its stored readings"))
	case o.device != "" && !o.history():
		return wrongUse(errors.New("--device selects stored readings: it goes with --replay, --from or --to"))
	}
	return nil
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
	statement, err := o.parse(sql)
	if err != nil {
		return err
	}
	if err := topic.ValidName(o.topic); err != nil {
		return wrongUse(fmt.Errorf("--topic %q: %w", o.topic, err))
	}
	// A topic of Basic Ingest names its rule, whose FROM does not count.
	rule, name := iot.BasicIngest(o.topic)
	if f := statement.Filter(); rule == "" && f != "" && !topic.MatchRule(f, o.topic) {
		return &exitError{3, fmt.Errorf("did not fire: the filter '%s' does not match topic %s", f, o.topic)}
	}
	origin, err := o.origin()
	if err != nil {
		return err
	}
	account := server.DefaultConfig().Account
	account.ID = cmp.Or(o.accountID, account.ID)
	message := &iot.Message{Topic: name, Rule: rule, Payload: payload, Origin: origin}
	explained, err := statement.Explain(&iotsql.Env{Message: message, Account: account, Call: noCall})
	if o.explain {
		writeParts(out, "", "SET", explained.Variables)
		writeParts(out, "", "WHERE", explained.Where)
	}
	if err != nil {
		return fmt.Errorf("evaluating: %w", err)
	}
	if !explained.Fired {
		why := "did not fire: WHERE is not true for this payload"
		if len(explained.Where) > 0 && explained.Where[0].Value == "Undefined" && !json.Valid(payload) {
			why += ", which is not JSON: every field of it is Undefined"
		}
		return &exitError{3, errors.New(why)}
	}
	if len(explained.Payload) == 0 { // SELECT VALUE of Undefined, or an empty message
		return nil
	}
	_, err = fmt.Fprintf(out, "%s\n", explained.Payload)
	return err
}

// origin is where the message is said to come from.
func (o *sqlOptions) origin() (iot.Origin, error) {
	from := iot.Origin{ClientID: o.clientID, Principal: o.principal, Protocol: iot.ProtocolMQTT, Arrived: time.Now()}
	if o.timestamp != 0 {
		from.Arrived = time.UnixMilli(o.timestamp)
	}
	if o.http {
		from.Protocol = iot.ProtocolHTTP
	}
	if o.sourceIP != "" {
		ip, err := netip.ParseAddr(o.sourceIP)
		if err != nil {
			return from, wrongUse(fmt.Errorf("--source-ip %q: an address such as 192.0.2.10", o.sourceIP))
		}
		from.Source = ip
	}
	return from, nil
}

// parse reads a statement; one that does not parse is wrong use.
func (o *sqlOptions) parse(sql string) (*iotsql.Statement, error) {
	statement, err := iotsql.Parse(sql, o.version)
	if err != nil {
		return nil, wrongUse(explainSQL(err))
	}
	return statement, nil
}

// noCall refuses what cannot be had without a server.
func noCall(c iotsql.Call) (json.RawMessage, error) {
	if c.Function == "aws_lambda" {
		return nil, errors.New("aws_lambda is not called in a dry run")
	}
	return nil, fmt.Errorf("%s asks a running server: try the statement with --filter or --replay, which use one", c.Function)
}

// explainSQL puts a mark under the place where a statement stops making sense.
func explainSQL(err error) error {
	if syntax, ok := errors.AsType[*iotsql.SyntaxError](err); ok {
		return fmt.Errorf("%w\n%s", err, syntax.Caret())
	}
	return err
}
