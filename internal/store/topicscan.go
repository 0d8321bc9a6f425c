package store

import "strings"

// nextTopic decides about a topic in a walk over sorted topics in search of those
// that a filter matches, as MQTT has it ([MQTT-4.7.1-1] to [MQTT-4.7.2-1]; "a/#"
// matches "a"). match says that the topic is one of them. If it is not, the next
// one is at or behind seek; when seek is "" there is none. Subtrees that cannot
// match are passed over so: '/'+1 is '0', so all topics below "x" are before "x0".
func nextTopic(filter, topic string) (match bool, seek string) {
	if topic[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false, "%" // '$'+1
	}
	level := 0    // where the level in hand begins in topic
	back := ""    // where to go on when the level in hand has no match: behind the last + level
	plus := false // whether the level before is a +
	for {
		want, filterRest, moreFilter := strings.Cut(filter, "/")
		if want == "#" {
			return true, ""
		}
		rest := topic[level:]
		have, _, moreTopic := strings.Cut(rest, "/")
		end := level + len(have)
		switch {
		case want == "+":
			if moreTopic {
				back = topic[:end] + "0"
			}
		case have == want:
		case rest < want:
			return false, topic[:level] + want
		case moreFilter && rest < want+"/":
			return false, topic[:level] + want + "/"
		default:
			return false, back
		}
		plus = want == "+"
		switch {
		case !moreTopic && (!moreFilter || filterRest == "#"):
			return true, ""
		case !moreTopic && plus: // topics such as "x!" are before those below "x"
			return false, topic + "\x00"
		case !moreTopic:
			return false, topic + "/"
		case !moreFilter:
			return false, topic[:end] + "0"
		}
		filter, level = filterRest, end+1
	}
}
