package javatime

import (
	"math"
	"time"
)

// Parse reads a text, all of it, as a time in milliseconds since 1970; false when the
// text does not fit the pattern, is impossible (30 February, hour 25, a weekday that is
// another), or says no date. Without a time it is midnight, without a zone UTC. An
// offset counts more than a zone. A time that a change of clocks leaves out is moved
// past it; of one that it repeats, the first counts.
//
// In one thing Parse is stricter than Java's resolver: a day of the month that the
// month does not have is impossible, not the month's last.
func (p *Pattern) Parse(text string) (int64, bool) {
	var r reading
	if p.root.parse(&r, text, 0) != len(text) {
		return 0, false
	}
	days, ok := r.date()
	if !ok {
		return 0, false
	}
	nanos, ok := r.clock()
	if !ok {
		return 0, false
	}
	const most = math.MaxInt64/1000 - 100_000
	seconds := days*86400 + nanos/int64(time.Second)
	if seconds < -most || seconds > most {
		return 0, false
	}
	seconds -= r.offsetAt(seconds)
	return seconds*1000 + nanos%int64(time.Second)/int64(time.Millisecond), true
}

// date is the day since 1970.
func (r *reading) date() (int64, bool) {
	if !r.resolveYear() {
		return 0, false
	}
	year, month, day := r.value[fieldYear], r.value[fieldMonth], r.value[fieldDay]
	switch {
	case !r.known[fieldYear], magnitude64(year) > 999_999_999:
		return 0, false
	case r.known[fieldMonth] && r.known[fieldDay]:
	case r.known[fieldYearDay]:
		month, day = 1, r.value[fieldYearDay]
		if day < 1 || day > 366 {
			return 0, false
		}
	default:
		return 0, false
	}
	if month < 1 || month > 12 || day < 1 || day > 366 {
		return 0, false
	}
	t := time.Date(int(year), time.Month(month), int(day), 0, 0, 0, 0, time.UTC)
	if int64(t.Year()) != year || !r.agrees(t) {
		return 0, false
	}
	return t.Unix() / 86400, true
}

// agrees reports whether all that the text says of the date is so.
func (r *reading) agrees(t time.Time) bool {
	for f, v := range map[fieldKey]int{
		fieldMonth:   int(t.Month()),
		fieldDay:     t.Day(),
		fieldYearDay: t.YearDay(),
		fieldQuarter: (int(t.Month()) + 2) / 3,
		fieldWeekday: (int(t.Weekday())+6)%7 + 1,
	} {
		if r.known[f] && r.value[f] != int64(v) {
			return false
		}
	}
	return true
}

// resolveYear makes a year of a year and its era, AD when it is not said.
func (r *reading) resolveYear() bool {
	if !r.known[fieldYearOfEra] {
		return !r.known[fieldEra] || !r.known[fieldYear] || int64(era(int(r.value[fieldYear]))) == r.value[fieldEra]
	}
	year := r.value[fieldYearOfEra]
	if year < 1 || year > 1_000_000_000 {
		return false
	}
	before := r.known[fieldEra] && r.value[fieldEra] == 0
	if !r.known[fieldEra] && r.known[fieldYear] {
		before = r.value[fieldYear] <= 0
	}
	if before {
		year = 1 - year
	}
	return r.set(fieldYear, year)
}

func magnitude64(n int64) int64 { return max(n, -n) }

// clock is the time of day in nanoseconds; 24:00 is the next day's midnight. It is 0
// when the text says too little.
func (r *reading) clock() (int64, bool) {
	if !r.resolveHours() || !r.resolveOfDay() || !r.inRange() {
		return 0, false
	}
	hour, minute := r.value[fieldHour], r.value[fieldMinute]
	second, nano := r.value[fieldSecond], r.value[fieldNano]
	switch {
	case !r.known[fieldHour]:
		return 0, true
	case !r.known[fieldMinute] && (r.known[fieldSecond] || r.known[fieldNano]),
		r.known[fieldNano] && !r.known[fieldSecond]:
		return 0, true
	case hour == 24 && minute+second+nano > 0:
		return 0, false
	}
	if r.known[fieldHalf] && r.value[fieldHalf] != hour%24/12 ||
		r.known[fieldHalfHour] && r.value[fieldHalfHour] != hour%12 {
		return 0, false
	}
	return ((hour*60+minute)*60+second)*int64(time.Second) + nano, true
}

// resolveHours makes an hour of the day of the other ways to say one.
func (r *reading) resolveHours() bool {
	for _, c := range []struct {
		from, to fieldKey
		last     int64
	}{{fieldClock, fieldHour, 24}, {fieldHalfClock, fieldHalfHour, 12}} {
		if !r.known[c.from] {
			continue
		}
		v := r.value[c.from]
		if v < 0 || v > c.last || !r.set(c.to, v%c.last) {
			return false
		}
	}
	if !r.known[fieldHalf] || !r.known[fieldHalfHour] {
		return true
	}
	half, hour := r.value[fieldHalf], r.value[fieldHalfHour]
	return hour >= 0 && hour < 12 && r.set(fieldHour, half*12+hour)
}

// resolveOfDay takes milliseconds and nanoseconds of the day apart.
func (r *reading) resolveOfDay() bool {
	const day = 24 * int64(time.Hour)
	for f, unit := range map[fieldKey]int64{fieldMilliOfDay: int64(time.Millisecond), fieldNanoOfDay: 1} {
		if !r.known[f] {
			continue
		}
		v := r.value[f]
		if v < 0 || v >= day/unit {
			return false
		}
		v *= unit
		if !r.set(fieldHour, v/int64(time.Hour)) || !r.set(fieldMinute, v/int64(time.Minute)%60) ||
			!r.set(fieldSecond, v/int64(time.Second)%60) || !r.set(fieldNano, v%int64(time.Second)) {
			return false
		}
	}
	return true
}

func (r *reading) inRange() bool {
	for f, last := range map[fieldKey]int64{
		fieldHour: 24, fieldMinute: 59, fieldSecond: 59, fieldNano: int64(time.Second) - 1, fieldHalfHour: 11,
	} {
		if r.known[f] && (r.value[f] < 0 || r.value[f] > last) {
			return false
		}
	}
	return true
}

// offsetAt is what the clock is ahead of UTC when it shows the given seconds.
func (r *reading) offsetAt(local int64) int64 {
	if r.known[fieldOffset] {
		return r.value[fieldOffset]
	}
	if r.zone == nil {
		return 0
	}
	at := func(unix int64) int64 {
		_, offset := time.Unix(unix, 0).In(r.zone).Zone()
		return int64(offset)
	}
	// Of a gap, and of a time that comes twice, the offset before counts.
	before, after := at(local-86400), at(local+86400)
	if before != after && at(local-before) != before && at(local-after) == after {
		return after
	}
	return before
}
