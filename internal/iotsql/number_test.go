package iotsql

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/apd/v3"
)

func TestSmallAndBigNumbersMeet(t *testing.T) {
	checkValues(t, both, []valueCase{
		{"999999999999999999 * 1000", "", "999999999999999999000"},
		{"99999999999 * 99999999999", "", "9999999999800000000001"},
		{"-999999999999999999 - 1", "", "-1000000000000000000"},
		{"1000000000000000000 - 1", "", "999999999999999999"},
		{"1000000000000000000 / 10", "", "100000000000000000"},
		{"100000000000000000000 % 7", "", "2"},
		{"bitor(9223372036854775807, 1)", "", "9223372036854775807"},
		{"bitnot(-9223372036854775808)", "", "9223372036854775807"},
		{"abs(-1000000000000000000)", "", "1000000000000000000"},
		{"1E30 > 1E29 AND 1E30 = 1E30 AND 1E-30 < 1", "", "true"},
		{"1E900 + 1 > 1E899", "", "true"},
		{"0.000000000000000000000001 * 1E24 = 1", "", "true"},
		{"0 / 7", "", "0"},
		{"-3 / 8", "", "-0.375"},
		{"1 / 3 * 3 < 1", "", "true"},
		{"1E-600 * 1E-600 = 0", "", "true"},
	})
}

func TestRoundingOfLongNumbersIsTiesToEven(t *testing.T) {
	// 34 digits are kept; what follows decides.
	const digits = "123456789012345678901234567890123"
	for text, want := range map[string]string{
		digits + "45":                        digits + "4",
		digits + "55":                        digits + "6",
		digits + "4500000000000000000000001": digits + "5",
		digits + "4499999999999999999999999": digits + "4",
		digits + "4000000000000000000000001": digits + "4",
	} {
		n, ok := parseNumber("0." + text)
		if got := string(n.appendExact(nil)); !ok || got != "0."+want {
			t.Errorf("0.%s is kept as %s", text, got)
		}
	}
}

// TestNumbersFarApart holds the short ways of sums and remainders to the long ones.
func TestNumbersFarApart(t *testing.T) {
	parse := func(text string) number {
		n, ok := parseNumber(text)
		if !ok {
			t.Fatal(text)
		}
		return n
	}
	digits := []string{"1", "9", "-1", "5", "1000000000000000000000000000000001", "9999999999999999999999999999999999", "-5000000000000000000000000000000000"}
	for _, a := range digits {
		for _, b := range digits {
			for exp := -80; exp <= 80; exp++ {
				x, y := parse(a), parse(fmt.Sprintf("%sE%d", b, exp))
				sum, ok := add(x, y)
				want, also := apply((*apd.Context).Add, x, y)
				if ok != also || compare(sum, want) != 0 {
					t.Errorf("%s + %sE%d = %s, %t; want %s, %t", a, b, exp, sum.appendExact(nil), ok, want.appendExact(nil), also)
				}
				rest, ok := remainder(x, y)
				want, also = apply((*apd.Context).Rem, x, y)
				if ok != also || ok && compare(rest, want) != 0 {
					t.Errorf("%s %% %sE%d = %s, %t; want %s, %t", a, b, exp, rest.appendExact(nil), ok, want.appendExact(nil), also)
				}
			}
		}
	}
}
