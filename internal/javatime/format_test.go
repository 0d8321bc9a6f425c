package javatime

import (
	"errors"
	"testing"
	"time"
	_ "time/tzdata"
)

func TestFormat(t *testing.T) {
	const (
		day    = 1_700_000_000_123          // 2023-11-14 22:13:20.123 UTC
		before = -62_198_755_200_000 - 1    // the last instant of the year -2, which is 3 BC
		after  = 253_402_300_800_000        // the first of the year 10000
		summer = 1_720_000_000_000          // 2024-07-03 09:46:40 UTC
		noon   = 1_700_000_000_123 - 36_800 // some seconds past 22:12
	)
	for _, c := range []struct {
		name, pattern string
		ms            int64
		zone, want    string
	}{
		{"the guide's example", "yyyy.MM.dd G 'at' HH:mm:ss z", 100_000_000, "America/Belize", "1970.01.01 AD at 21:46:40 CST"},
		{"years", "y yy yyy yyyyy", day, "UTC", "2023 23 2023 02023"},
		{"years before 1 have a sign", "y yy yyyy", before, "UTC", "-2 02 -0002"},
		{"years of the era have none", "Y YYYY G", before, "UTC", "3 0003 BC"},
		{"years after 9999", "yyyy yy C", after, "UTC", "10000 00 100"},
		{"centuries", "C CCC", day, "UTC", "20 020"},
		{"years of weeks", "x xx ww e", after, "UTC", "9999 99 52 6"},
		{"days of the year", "D DDDD", day, "UTC", "318 0318"},
		{"months", "M MM MMM MMMM MMMMM", before, "UTC", "12 12 Dec December December"},
		{"weekdays", "E EEE EEEE e", day, "UTC", "Tue Tue Tuesday 2"},
		{"hours from 0 to 23, 1 to 24", "H HH k kk", after, "UTC", "0 00 24 24"},
		{"hours from 0 to 11, 1 to 12", "K KK h hh a", after, "UTC", "0 00 12 12 AM"},
		{"hours after noon", "K h a", day, "UTC", "10 10 PM"},
		{"minutes and seconds", "m:s mmm:sss", noon, "UTC", "12:43 012:043"},
		{"fractions are cut off", "S SS SSS SSSSSS", before, "UTC", "9 99 999 999000"},
		{"offsets", "Z ZZ ZZZ", day, "America/New_York", "-0500 -05:00 America/New_York"},
		{"zones in winter", "z zzzz", day, "Europe/Berlin", "CET Central European Standard Time"},
		{"zones in summer", "z zzzz", summer, "Europe/London", "BST British Summer Time"},
		{"one short name of three zones", "zzzz", summer, "Asia/Jerusalem", "Israel Daylight Time"},
		{"zones that the tz database has no name for", "z zzzz", day, "America/Sao_Paulo", "BRT Brasilia Standard Time"},
		{"zones without a name", "z zzzz Z", day, "Etc/GMT+5", "-05:00 -05:00 -0500"},
		{"an offset as a zone", "HH:mm z ZZ ZZZ", day, "+05:30", "03:43 +05:30 +05:30 +05:30"},
		{"UTC", "z zzzz Z ZZZ", day, "UTC", "UTC Coordinated Universal Time +0000 UTC"},
		{"quotes", "'a''b' '' 'T'yyyy", day, "UTC", "a'b ' T2023"},
		{"a quote that is not closed", "yyyy 'x", day, "UTC", "2023 x"},
		{"what is no letter means itself", "[yyyy]#é", day, "UTC", "[2023]#é"},
		{"the furthest past", "y", -1 << 63, "UTC", "-292275055"},
	} {
		l, err := NewLayout(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		loc, err := Zone(c.zone)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := l.Format(time.UnixMilli(c.ms).In(loc)); got != c.want {
			t.Errorf("%s: %s is %q, want %q", c.name, c.pattern, got, c.want)
		}
	}
}

func TestWhatIsNoLayout(t *testing.T) {
	for _, pattern := range []string{"", "b", "yyyyT", "A", "L", "n", "X", "u", "q", "W", "F", "yyyy-MM-ddTHH"} {
		_, err := NewLayout(pattern)
		if _, ok := errors.AsType[*SyntaxError](err); !ok {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

func TestZone(t *testing.T) {
	for id, want := range map[string]string{
		"UTC": "UTC", "UT": "UTC", "GMT": "UTC", "Z": "UTC", "+00:00": "UTC", "-00": "UTC", "America/New_York": "America/New_York", "EST5EDT": "EST5EDT",
		"+05": "+05:00", "+0530": "+05:30", "-05:30": "-05:30", "+05:30:15": "+05:30:15", "+053015": "+05:30:15", "UTC+01": "+01:00", "GMT-0500": "-05:00",
		"UT+01": "+01:00", "GMT+0": "GMT+0", "+23:59": "+23:59",
	} {
		loc, err := Zone(id)
		if err != nil {
			t.Error(err)
		} else if loc.String() != want {
			t.Errorf("%s is %s, want %s", id, loc, want)
		}
	}
	for _, id := range []string{
		"", "Local", "utc", "america/new_york", "PST", "Mars/Phobos", "../etc/passwd", "America/../UTC", "/UTC", "+", "+5", "+5:30", "+24:00", "+05:60", "+05:3",
		"UTC+", "UTC+1", "+05:3015", "Factory", "+05:30:15.123",
	} {
		if loc, err := Zone(id); err == nil {
			t.Errorf("%q is %s", id, loc)
		}
	}
}
