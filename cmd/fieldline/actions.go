package main

import (
	"time"

	"github.com/spf13/pflag"
)

// defineActions defines the flags of what rules' actions may do.
func (o *upOptions) defineActions(f *pflag.FlagSet) {
	a := &o.server.Actions
	f.StringArrayVar(&a.Endpoints, "action-endpoint", nil, "where a rule's action finds a service: SERVICE=URL, SERVICE=aws or SERVICE=self, of sqs, kinesis, dynamodb and cloudwatchlogs; may be repeated")
	f.StringArrayVar(&a.AllowHosts, "allow-action-host", nil, "HOST or HOST:PORT that the http action may reach directly, over http and without a confirmed destination; may be repeated")
	f.IntVar(&a.Concurrency, "action-concurrency", 32, "requests of one action at once")
	f.Float64Var(&a.Rate, "action-rate", 0, "requests a second of one action; 0 is without bound")
	f.DurationVar(&a.MaxAge, "action-max-age", 24*time.Hour, "how long an action is tried before it ends in the error action and the dead-letter")
}
