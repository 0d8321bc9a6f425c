package store

import (
	"bytes"
	"cmp"
	"math"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestAfterIsTheEndOfAPrefix(t *testing.T) {
	for _, tc := range []struct{ name, prefix, want string }{
		{"the last byte is raised", "ab", "ac"},
		{"bytes that cannot be raised are cut", "a\xff\xff", "b"},
		{"nothing follows the last prefix", "\xff", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := after([]byte(tc.prefix)); string(got) != tc.want {
				t.Errorf("after(%q) = %q, want %q", tc.prefix, got, tc.want)
			}
		})
	}
}

func TestBucketsHoldNegativeTimesToo(t *testing.T) {
	for _, tc := range []struct{ ms, want int64 }{
		{0, 0},
		{bucketMillis - 1, 0},
		{bucketMillis, 1},
		{-1, -1},
		{-bucketMillis, -1},
		{-bucketMillis - 1, -2},
		{math.MaxInt64, math.MaxInt64 / bucketMillis},
		{math.MinInt64, math.MinInt64/bucketMillis - 1},
	} {
		if got := bucketOf(tc.ms); got != tc.want {
			t.Errorf("bucketOf(%d) = %d, want %d", tc.ms, got, tc.want)
		}
	}
}

// FuzzTextOrder checks that encoded texts sort as the texts do, whatever follows
// them, and decode to themselves.
func FuzzTextOrder(f *testing.F) {
	f.Add("a", "a\x00", []byte{0xff})
	f.Add("", "\x00", []byte{0})
	f.Add("MyDevice001", "MyDevice0010", []byte{})
	f.Add("\x00\xff", "\x00\x01", []byte{1})
	f.Fuzz(func(t *testing.T, a, b string, tail []byte) {
		ka, kb := append(appendText(nil, a), tail...), appendText(nil, b)
		if a != b && bytes.Compare(ka, kb) != strings.Compare(a, b) {
			t.Errorf("%q and %q sort as %x and %x", a, b, ka, kb)
		}
		got, rest, err := cutText(ka)
		if err != nil || got != a || !bytes.Equal(rest, tail) {
			t.Errorf("%q came back as %q, %x, %v", a, got, rest, err)
		}
	})
}

// FuzzCutText checks that what is accepted has one spelling only.
func FuzzCutText(f *testing.F) {
	f.Add([]byte("abc\x00\x01"))
	f.Add([]byte("a\x00\xff\x00\x01rest"))
	f.Add([]byte{0, 2})
	f.Fuzz(func(t *testing.T, key []byte) {
		text, rest, err := cutText(key)
		if err != nil {
			return // rejecting is always allowed; panicking is not
		}
		if again := append(appendText(nil, text), rest...); !bytes.Equal(again, key) {
			t.Errorf("%x decodes to %q, which encodes as %x", key, text, again)
		}
	})
}

// FuzzRowKeyOrder checks that row keys sort by bucket, device, time and seq.
func FuzzRowKeyOrder(f *testing.F) {
	f.Add("a", int64(1), uint64(1), "a", int64(1), uint64(2))
	f.Add("a\x00", int64(-1), uint64(1), "a", int64(0), uint64(1))
	f.Add("b", int64(math.MinInt64), uint64(0), "", int64(math.MaxInt64), uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, d1 string, t1 int64, s1 uint64, d2 string, t2 int64, s2 uint64) {
		k1 := rowKey(nil, bucketOf(t1), d1, iot.HistoryPos{Time: t1, Seq: s1})
		k2 := rowKey(nil, bucketOf(t2), d2, iot.HistoryPos{Time: t2, Seq: s2})
		want := cmp.Or(cmp.Compare(bucketOf(t1), bucketOf(t2)), cmp.Compare(d1, d2), cmp.Compare(t1, t2), cmp.Compare(s1, s2))
		if got := bytes.Compare(k1, k2); got != want {
			t.Errorf("rows (%q %d %d) and (%q %d %d) compare as %d, want %d", d1, t1, s1, d2, t2, s2, got, want)
		}
	})
}

// FuzzDecoders feeds every decoder of stored values with anything: a damaged
// record must be an error, not a panic.
func FuzzDecoders(f *testing.F) {
	r := reading("d", 5, `{"a":1}`)
	f.Add(appendLatest(nil, &r))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, value []byte) {
		if got, err := decodeLatest("d", value); err == nil {
			if again, err := decodeLatest("d", appendLatest(nil, &got)); err != nil || again.TS != got.TS || !bytes.Equal(again.Payload, got.Payload) {
				t.Errorf("%x: %+v came back as %+v, %v", value, got, again, err)
			}
		}
		decodeEntry(append([]byte{tableOutbox}, value...), value)
		decodeDeadLetter(append([]byte{tableDeadLetter}, value...), value)
		for rest, ms := value, int64(0); len(rest) > 0; {
			var err error
			if _, ms, rest, err = cutEntry(rest, ms); err != nil {
				break
			}
		}
	})
}
