package javatime

import (
	"errors"
	"testing"
	"time"
	_ "time/tzdata"
)

func TestParse(t *testing.T) {
	const none = ""
	for _, c := range []struct{ name, pattern, text, want string }{
		{"the guide's first example", "dd MMMM yyyy", "18 December 2015", "2015-12-18T00:00:00Z"},
		{"the guide's second example", "yyyy-MM-dd HH:mm:ss.SSS z", "2007-12-03 10:15:30.592 America/Los_Angeles", "2007-12-03T18:15:30.592Z"},
		{"an impossible day", "yyyy-MM-dd", "2021-02-31", none},
		{"a day too many for its month", "yyyy-MM-dd", "2021-02-29", none},
		{"a leap day", "yyyy-MM-dd", "2020-02-29", "2020-02-29T00:00:00Z"},
		{"an impossible month", "yyyy-MM-dd", "2021-13-01", none},
		{"an impossible hour", "yyyy-MM-dd HH", "2021-01-01 25", none},
		{"24 o'clock", "yyyy-MM-dd HH:mm", "2021-01-01 24:00", "2021-01-02T00:00:00Z"},
		{"past 24 o'clock", "yyyy-MM-dd HH:mm", "2021-01-01 24:01", none},
		{"too little text", "yyyy-MM-dd", "2021-01", none},
		{"too much text", "yyyy-MM-dd", "2021-01-011", none},
		{"no date", "HH:mm", "10:11", none},
		{"half a date", "yyyy-MM", "2021-01", none},
		{"one digit where two are wanted", "yyyy-MM-dd", "2021-1-01", none},
		{"any digits", "y-M-d", "2021-1-02", "2021-01-02T00:00:00Z"},
		{"adjacent numbers", "yyyyMMddHHmmssSSS", "20210203040506789", "2021-02-03T04:05:06.789Z"},
		{"the first adjacent number takes what is left", "yMMdd", "20210203", "2021-02-03T00:00:00Z"},
		{"two digits are of this century", "yyMMdd", "990102", "2099-01-02T00:00:00Z"},
		{"a year of five digits needs a plus", "yyyy-MM-dd", "12345-01-02", none},
		{"a year of five digits", "yyyy-MM-dd", "+12345-01-02", "12345-01-02T00:00:00Z"},
		{"year 0", "uuuu-MM-dd", "0000-01-02", "0000-01-02T00:00:00Z"},
		{"no era has a year 0", "yyyy-MM-dd", "0000-01-02", none},
		{"an era", "G yyyy-MM-dd", "BC 0001-01-02", "0000-01-02T00:00:00Z"},
		{"an era of the year", "G uuuu-MM-dd", "BC 2021-01-02", none},
		{"a day of the year", "yyyy-DDD", "2020-366", "2020-12-31T00:00:00Z"},
		{"a day of the year that is none", "yyyy-DDD", "2021-366", none},
		{"a weekday", "E d MMM yyyy", "Mon 5 Jul 2021", "2021-07-05T00:00:00Z"},
		{"another weekday", "E d MMM yyyy", "Tue 5 Jul 2021", none},
		{"names in full", "EEEE d LLLL yyyy", "Monday 5 July 2021", "2021-07-05T00:00:00Z"},
		{"names have their case", "d MMM yyyy", "5 jul 2021", none},
		{"a quarter", "QQQ yyyy-MM-dd", "Q3 2021-07-05", "2021-07-05T00:00:00Z"},
		{"another quarter", "QQQ yyyy-MM-dd", "Q2 2021-07-05", none},
		{"before noon", "yyyy-MM-dd h:mm a", "2021-07-05 12:30 AM", "2021-07-05T00:30:00Z"},
		{"after noon", "yyyy-MM-dd K:mm a", "2021-07-05 1:30 PM", "2021-07-05T13:30:00Z"},
		{"half of a day that is the other", "yyyy-MM-dd HH:mm a", "2021-07-05 01:30 PM", none},
		{"hour 13 of a half", "yyyy-MM-dd h:mm a", "2021-07-05 13:30 PM", none},
		{"hour 24 of a clock", "yyyy-MM-dd kk:mm", "2021-07-05 24:30", "2021-07-05T00:30:00Z"},
		{"milliseconds of the day", "yyyy-MM-dd A", "2021-07-05 86399999", "2021-07-05T23:59:59.999Z"},
		{"nanoseconds of the day", "yyyy-MM-dd N", "2021-07-05 3600000000000", "2021-07-05T01:00:00Z"},
		{"nanoseconds are cut off", "yyyy-MM-dd HH:mm:ss.SSSSSS", "2021-07-05 01:02:03.123999", "2021-07-05T01:02:03.123Z"},
		{"nanoseconds of the second", "yyyy-MM-dd HH:mm:ss n", "2021-07-05 01:02:03 5000000", "2021-07-05T01:02:03.005Z"},
		{"seconds without minutes are no time", "yyyy-MM-dd HH:ss", "2021-07-05 10:11", "2021-07-05T00:00:00Z"},
		{"an offset", "uuuu-MM-dd'T'HH:mm:ssXXX", "2021-07-05T01:02:03+02:00", "2021-07-04T23:02:03Z"},
		{"an offset of nothing", "uuuu-MM-dd'T'HH:mmX", "2021-07-05T01:02Z", "2021-07-05T01:02:00Z"},
		{"x has no Z", "uuuu-MM-dd'T'HH:mmx", "2021-07-05T01:02Z", none},
		{"an offset too far", "uuuu-MM-dd'T'HH:mmX", "2021-07-05T01:02+19", none},
		{"an offset without colons", "yyyy-MM-dd HH:mm Z", "2021-07-05 01:02 -0130", "2021-07-05T02:32:00Z"},
		{"an offset of GMT", "yyyy-MM-dd HH:mm O", "2021-07-05 01:02 GMT+8", "2021-07-04T17:02:00Z"},
		{"an offset counts more than a zone", "uuuu-MM-dd'T'HH:mmXXX'['VV']'", "2021-07-05T01:02+01:00[Europe/Paris]", "2021-07-05T00:02:00Z"},
		{"a zone's id", "yyyy-MM-dd HH:mm VV", "2021-07-05 01:02 Europe/Paris", "2021-07-04T23:02:00Z"},
		{"a zone's id is no name", "yyyy-MM-dd HH:mm VV", "2021-07-05 01:02 PST", none},
		{"a zone's name", "yyyy-MM-dd HH:mm z", "2021-01-05 01:02 PST", "2021-01-05T09:02:00Z"},
		{"a zone's name means the zone", "yyyy-MM-dd HH:mm z", "2021-07-05 01:02 PST", "2021-07-05T08:02:00Z"},
		{"UTC with an offset", "yyyy-MM-dd HH:mm z", "2021-07-05 01:02 UTC+01:00", "2021-07-05T00:02:00Z"},
		{"a name of no zone", "yyyy-MM-dd HH:mm z", "2021-07-05 01:02 XYZ", none},
		{"a time that is left out", "yyyy-MM-dd HH:mm z", "2021-03-14 02:30 America/New_York", "2021-03-14T07:30:00Z"},
		{"a time that comes twice", "yyyy-MM-dd HH:mm z", "2021-11-07 01:30 America/New_York", "2021-11-07T05:30:00Z"},
		{"an optional section", "yyyy-MM-dd[ HH:mm[:ss]]", "2021-07-05 01:02", "2021-07-05T01:02:00Z"},
		{"an optional section that is not there", "yyyy-MM-dd[ HH:mm[:ss]]", "2021-07-05", "2021-07-05T00:00:00Z"},
		{"what a section took is forgotten", "[yyyy-MM-dd][yyyy-d/MM]", "2021-05/07", "2021-07-05T00:00:00Z"},
		{"padding", "ppppppyyyy-ppM-ppd", "  2021- 7- 5", "2021-07-05T00:00:00Z"},
		{"padding that is not there", "yyyy-ppM-ppd", "2021-7-5", none},
		{"quotes", "'at' yyyy''MM-dd", "at 2021'07-05", "2021-07-05T00:00:00Z"},
		{"two values of one field", "yyyy-MM-dd yyyy", "2021-07-05 2022", none},
		{"a year beyond milliseconds", "yyyy-MM-dd", "+999999999-12-31", none},
		{"digits of another script", "yyyy-MM-dd", "٢٠٢١-01-01", none},
	} {
		p, err := NewPattern(c.pattern)
		if err != nil {
			if c.want != none {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		ms, ok := p.Parse(c.text)
		if got := time.UnixMilli(ms).UTC().Format(time.RFC3339Nano); ok != (c.want != none) || ok && got != c.want {
			t.Errorf("%s: %s on %q is %s, %t; want %q", c.name, c.pattern, c.text, got, ok, c.want)
		}
	}
}

func TestWhatIsNoPattern(t *testing.T) {
	for _, pattern := range []string{
		"b", "f", "T", "yyyy]", "'x", "{", "}", "#", "ddd", "HHH", "aa", "DDDD", "MMMMMM", "QQQQQQ", "GGGGGG", "EEEEEE", "SSSSSSSSSS", "V", "VVV",
		"zzzzz", "ZZZZZZ", "OO", "XXXXXX", "p", "p-", "yyyy pp", "ppHmm", "yyyyyyyyyyyyyyyyyyyy",
	} {
		_, err := NewPattern(pattern)
		if _, ok := errors.AsType[*SyntaxError](err); !ok {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

func TestWhatIsRefusedByName(t *testing.T) {
	for pattern, name := range map[string]string{
		"YYYY-MM-dd": "the letter Y (the year of a week; the year is y)",
		"yyyy-'w'ww": "the letter w",
		"e":          "the letter e",
		"zzzz":       "zzzz (long names of zones)",
		"MMMMM":      "MMMMM (names of one letter)",
		"v":          "the letter v",
		"B":          "the letter B",
		"g":          "the letter g",
	} {
		_, err := NewPattern(pattern)
		if refused, ok := errors.AsType[*UnsupportedError](err); !ok || refused.Construct != name {
			t.Errorf("%s: %v", pattern, err)
		}
	}
	if _, err := NewPattern("YYYY-ddd"); errors.As(err, new(*UnsupportedError)) {
		t.Errorf("what Java does not read is no pattern, whatever else is in it: %v", err)
	}
}

// FuzzPattern checks that reading a pattern and a text by it never panics, that errors
// are the documented ones, and that a time that was read is one that can be written.
func FuzzPattern(f *testing.F) {
	for pattern, text := range map[string]string{
		"yyyy-MM-dd'T'HH:mm:ss.SSSXXX": "2021-07-04T10:11:12.123+02:00", "yyyyMMdd[HHmm]": "202107041011", "E, d MMM yyyy h:mm a z": "Mon, 5 Jul 2021 1:02 PM PST",
		"ppppy-D O": "2021-185 GMT+8", "G uuuu QQQQ": "AD 2021 3rd quarter",
	} {
		f.Add(pattern, text)
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		p, err := NewPattern(pattern)
		if err != nil {
			_, syntax := errors.AsType[*SyntaxError](err)
			_, refused := errors.AsType[*UnsupportedError](err)
			if !syntax && !refused {
				t.Errorf("%q: %v", pattern, err)
			}
			return
		}
		ms, ok := p.Parse(text)
		if ok && time.UnixMilli(ms).UnixMilli() != ms {
			t.Errorf("%q on %q is %d", pattern, text, ms)
		}
	})
}

// FuzzThereAndBack checks that a time written by a pattern that holds all of it is read
// back by the pattern of the other dialect that means the same.
func FuzzThereAndBack(f *testing.F) {
	f.Add(int64(1_700_000_000_123), uint8(0))
	f.Add(int64(-62_198_755_200_001), uint8(1))
	f.Fuzz(func(t *testing.T, ms int64, which uint8) {
		patterns := [][2]string{
			{"yyyy-MM-dd HH:mm:ss.SSS", "uuuu-MM-dd HH:mm:ss.SSS"},
			{"yyyyMMddHHmmssSSS", "uuuuMMddHHmmssSSS"},
			{"EEEE, d MMMM YYYY G hh:mm:ss.SSS a", "EEEE, d MMMM y G hh:mm:ss.SSS a"},
			{"y-D k:m:s.SSS ZZ", "u-D k:m:s.SSS xxx"},
			{"E MMM d Y kk:mm:ss SSS z G", "E MMM d y kk:mm:ss SSS z G"},
		}
		pair := patterns[int(which)%len(patterns)]
		const from, to = -62_135_596_800_000, 253_402_300_799_999 // the years 1 to 9999
		if ms = ms % to; ms < from {
			ms = -ms
		}
		l, err := NewLayout(pair[0])
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewPattern(pair[1])
		if err != nil {
			t.Fatal(err)
		}
		text := l.Format(time.UnixMilli(ms).UTC())
		if got, ok := p.Parse(text); !ok || got != ms {
			t.Errorf("%d is %q by %s, and that %d, %t", ms, text, pair[0], got, ok)
		}
	})
}
