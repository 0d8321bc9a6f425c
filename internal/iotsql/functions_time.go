package iotsql

import (
	"math"
	"time"

	"github.com/cockroachdb/apd/v3"

	"github.com/fieldline-iot/fieldline/internal/javatime"
)

// timeFunctions write and read times by Java's patterns.
func timeFunctions() []function {
	return []function{
		{name: "parse_time", min: 2, max: 3, newer: true, preparation: &preparation{pattern: 0, prepare: parseTime}},
		{name: "time_to_epoch", min: 2, max: 2, newer: true, preparation: &preparation{pattern: 1, prepare: timeToEpoch}},
	}
}

// parseTime formats a time, in spite of its name, by a pattern of Joda-Time's. The
// milliseconds are rounded to the nearest Int.
func parseTime(constant *string) (evaluator, error) {
	pattern, err := compile(constant, javatime.NewLayout)
	zones := newMemo(javatime.Zone)
	return func(st *state, args []value) value {
		layout, ok := pattern.of(st, args[0])
		n, also := toInt(args[1], apd.RoundHalfUp)
		ms := n.clamp(math.MinInt64, math.MaxInt64)
		if !ok || !also || ms == math.MinInt64 || ms == math.MaxInt64 {
			return value{}
		}
		zone := time.UTC
		if len(args) == 3 {
			id, ok := st.toText(args[2])
			if !ok {
				return value{}
			}
			loc, err := zones.of(st, id)
			if err != nil {
				return value{}
			}
			zone = loc
		}
		s := layout.Format(time.UnixMilli(ms).In(zone))
		if !st.spendBytes(len(s)) {
			return value{}
		}
		return text(s)
	}, err
}

// timeToEpoch reads a time by a pattern of java.time's.
func timeToEpoch(constant *string) (evaluator, error) {
	pattern, err := compile(constant, javatime.NewPattern)
	return func(st *state, args []value) value {
		s, ok := st.toText(args[0])
		p, also := pattern.of(st, args[1])
		if !ok || !also || !st.spendBytes(len(s)) {
			return value{}
		}
		began := time.Now()
		ms, ok := p.Parse(s)
		if !ok || !st.spendTime(began) {
			return value{}
		}
		return integer(ms)
	}, err
}
