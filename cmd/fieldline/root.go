package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// rootCommand returns the whole command line.
func rootCommand(std streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "fieldline",
		Short: "The AWS IoT real-time pipeline as one program",
		Long: `Fieldline runs the AWS IoT real-time pipeline on this machine: devices connect
with certificates over MQTT, a topic rule hands their readings to ProcessIoTData,
the latest reading and the history of each device are stored durably, and every
reading is pushed live to browsers.`,
		Example:       "  fieldline up --demo          # the whole pipeline, with the guide's device\n  fieldline watch              # readings as they come",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	t := newTarget(root.PersistentFlags())
	root.AddCommand(
		upCommand(std), envCommand(t), thingCommand(t), deviceCommand(), pubCommand(t), subCommand(t),
		watchCommand(t), getCommand(t), sqlCommand(t), ruleCommand(t), destinationCommand(t), deadLetterCommand(t), functionCommand(t), certCommand(t), policyCommand(t),
		clientsCommand(t), connectionsCommand(t), logsCommand(t), loginCommand(t), doctorCommand(t),
	)
	return root
}

// markRuns notes in ran that a command was run, for it and those below it: an
// error before that is wrong use.
func markRuns(c *cobra.Command, ran *bool) {
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			*ran = true
			return run(c, args)
		}
	}
	for _, sub := range c.Commands() {
		markRuns(sub, ran)
	}
}

// group returns a command that only holds others.
func group(use, short, example string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return wrongUse(fmt.Errorf("%s needs a subcommand (see %[1]s --help)", c.CommandPath()))
	}}
	c.AddCommand(subs...)
	return c
}

// version is the module version and commit that the program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := strings.Trim(info.Main.Version, "()")
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && (v == "" || v == "devel") {
			v = "devel " + s.Value[:12]
		}
	}
	return v
}
