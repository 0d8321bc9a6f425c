// Package topic knows the topic names and topic filters of MQTT: which are well
// formed, which filter matches which name, and a tree that finds all filters
// that match a name.
//
// It does not know what a topic means: shared subscriptions ($share/…), quotas
// and permissions are judged elsewhere. The functions are pure; a [Tree] may be
// read and changed concurrently. Marks such as [MQTT-4.7.1-1] cite the
// conformance statements of MQTT 5.0.
package topic

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrInvalid is wrapped by the errors for names and filters that are not well
// formed; they say why.
var ErrInvalid = errors.New("invalid topic")

// maxLength is the size that a topic may have, in bytes [MQTT-4.7.3-3].
const maxLength = 65535

// ValidName returns an error wrapping [ErrInvalid] unless name is a topic name,
// what messages are published to.
func ValidName(name string) error {
	if strings.ContainsAny(name, "+#") {
		return fmt.Errorf("%w: a name has no wildcards [MQTT-4.7.0-1]", ErrInvalid)
	}
	return validText(name)
}

// ValidFilter returns an error wrapping [ErrInvalid] unless filter is a topic
// filter, what clients subscribe to. Every name is a filter too.
func ValidFilter(filter string) error {
	for rest, more := filter, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		switch {
		case level == "#" && more:
			return fmt.Errorf("%w: # is not the last level [MQTT-4.7.1-1]", ErrInvalid)
		case len(level) > 1 && strings.Contains(level, "#"):
			return fmt.Errorf("%w: # shares its level with other characters [MQTT-4.7.1-1]", ErrInvalid)
		case len(level) > 1 && strings.Contains(level, "+"):
			return fmt.Errorf("%w: + shares its level with other characters [MQTT-4.7.1-2]", ErrInvalid)
		}
	}
	return validText(filter)
}

// validText checks what holds for names and filters alike.
func validText(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: it is empty [MQTT-4.7.3-1]", ErrInvalid)
	case len(s) > maxLength:
		return fmt.Errorf("%w: it has %d bytes, the most is %d [MQTT-4.7.3-3]", ErrInvalid, len(s), maxLength)
	case strings.IndexByte(s, 0) >= 0:
		return fmt.Errorf("%w: it contains U+0000 [MQTT-4.7.3-2]", ErrInvalid)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: it is not well-formed UTF-8 [MQTT-1.5.4-1]", ErrInvalid)
	}
	return nil
}

// Match reports whether a filter matches a name, as MQTT has it: "a/#" matches
// "a" too (§4.7.1.2), and a wildcard in front matches no name that begins with $
// [MQTT-4.7.2-1]. Both must be valid. It does not allocate.
func Match(filter, name string) bool { return match(filter, name, true) }

// MatchRule is [Match] as the topic rules of AWS IoT have it: "a/#" does not
// match "a".
func MatchRule(filter, name string) bool { return match(filter, name, false) }

// match compares level by level; parent says whether "a/#" matches "a".
func match(filter, name string, parent bool) bool {
	if filter == "" || name == "" || name[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	for {
		want, filterRest, moreFilter := strings.Cut(filter, "/")
		if want == "#" {
			return true
		}
		level, nameRest, moreName := strings.Cut(name, "/")
		if want != "+" && want != level {
			return false
		}
		switch {
		case !moreName && !moreFilter:
			return true
		case !moreName:
			return parent && filterRest == "#"
		case !moreFilter:
			return false
		}
		filter, name = filterRest, nameRest
	}
}
