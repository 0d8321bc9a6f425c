package iotsql

import (
	"errors"
	"fmt"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/javaregexp"
)

// regexpFunctions match Java's regular expressions.
func regexpFunctions() []function {
	return []function{
		withRegexp("regexp_matches", 2, func(_ *state, re *javaregexp.Regexp, s string, _ string) (value, error) {
			ok, err := re.MatchString(s)
			return boolean(ok), err
		}),
		withRegexp("regexp_replace", 3, func(st *state, re *javaregexp.Regexp, s, with string) (value, error) {
			out, err := re.ReplaceAllString(s, with, st.left<<4)
			if err == nil {
				st.spendBytes(len(out))
			}
			return text(out), err
		}),
		withRegexp("regexp_substr", 2, func(_ *state, re *javaregexp.Regexp, s string, _ string) (value, error) {
			found, ok, err := re.FindString(s)
			return textOr(found, ok), err
		}),
	}
}

// withRegexp is a function of a text, a pattern and perhaps a replacement. A match that
// takes too long fails the rule.
func withRegexp(name string, args int, run func(st *state, re *javaregexp.Regexp, s, with string) (value, error)) function {
	prepare := func(constant *string) (evaluator, error) {
		pattern, err := compile(constant, javaregexp.Compile)
		return func(st *state, args []value) value {
			s, ok := st.toText(args[0])
			re, also := pattern.of(st, args[1])
			with, given := "", true
			if len(args) == 3 {
				with, given = st.toText(args[2])
			}
			if !ok || !also || !given || !st.spendBytes(len(s)+len(with)) {
				return value{}
			}
			began := time.Now()
			v, err := run(st, re, s, with)
			if limit, ok := errors.AsType[*javaregexp.LimitError](err); ok {
				source, _ := st.toText(args[1])
				st.fail(fmt.Errorf("the regular expression %.80q of %s() %s: %w", source, name, limit.Reason, iot.ErrLimit))
			}
			if err != nil || !st.spendTime(began) {
				return value{}
			}
			return v
		}, err
	}
	return function{name: name, min: args, max: args, preparation: &preparation{pattern: 1, prepare: prepare}}
}
