package iotsql

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// apart takes a value apart wholly, so that nothing of it is copied as JSON.
func apart(st *state, v value) value {
	v = st.open(v)
	for i := range v.elems {
		v.elems[i] = apart(st, v.elems[i])
	}
	return v
}

// rawSeeds are documents that are written otherwise than they came.
func rawSeeds() []string {
	return append(referencePayloads(),
		`{"a":1.50,"b":-0,"c":-0.0,"d":0.0000001,"e":1e2,"f":12345678901234567.5,"g":123456789012345678901234567890}`,
		`{"a":0.10,"b":[0.000001,0.00000150,100,1.0,0.5,-7,-1.25],"c":1e1000,"d":[1e1000]}`,
		`["\u0041\n\/","a\\b","\ud83d\ude00",""," ","é"]`, `{"\u0061":1,"a":2,"b":{"a":1,"\u0061":3}}`,
		`[{"a":{"a":{"a":[]}}},true,false,null]`, many(255), many(256), many(257),
	)
}

// FuzzRaw checks that what is copied as JSON is written, byte for byte and in both
// versions, as what is taken apart is; and that what is taken for JSON is JSON, in
// UTF-8 and not nested too deeply, and nothing else.
func FuzzRaw(f *testing.F) {
	for _, s := range rawSeeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		valid := json.Valid([]byte(s)) && utf8.ValidString(s)
		if !isJSON(s) {
			if valid && strings.Count(s, "[")+strings.Count(s, "{") <= maxDepth {
				t.Errorf("%q is not taken for JSON", s)
			}
			return
		}
		if !valid {
			t.Errorf("%q is taken for JSON", s)
		}
		start := skipSpace(s, 0)
		whole := "[" + s[start:skipValue(s, start)] + "]"
		for _, version := range []string{"2015-10-08", "2016-03-23"} {
			prog, err := newProgram(version)
			if err != nil {
				t.Fatal(err)
			}
			st := prog.start(testEnv(s))
			got := st.appendJSON(nil, readValue(whole))
			want := st.appendJSON(nil, apart(st, readValue(whole)))
			if st.err == nil && string(got) != string(want) {
				t.Errorf("%s: %q is copied as %q, and written as %q", version, s, got, want)
			}
			st.finish()
		}
	})
}

// FuzzRow checks that a statement's result is, byte for byte, the JSON of the value
// that it would be inside of another expression.
func FuzzRow(f *testing.F) {
	for _, sql := range append(seeds(), referenceSeeds()...) {
		for _, payload := range referencePayloads() {
			f.Add(sql, []byte(payload))
		}
	}
	f.Fuzz(func(t *testing.T, sql string, payload []byte) {
		lower := strings.ToLower(sql)
		if strings.Contains(lower, "rand") || strings.Contains(lower, "newuuid") {
			return // twice is not once
		}
		for _, version := range []string{"2015-10-08", "2016-03-23"} {
			s, err := Parse(sql, version)
			if err != nil {
				continue
			}
			env := testEnv(string(payload))
			got, err := s.Eval(env)
			if err != nil || !got.Fired || got.Passthrough || s.value != nil {
				continue
			}
			st := s.start(env)
			st.assign(everything)
			want := st.appendJSON(nil, s.project(st))
			if st.err == nil && string(got.Payload) != string(want) {
				t.Errorf("%s: %s on %q gives %q, and as a value %q", version, sql, payload, got.Payload, want)
			}
			st.finish()
		}
	})
}

func TestKeysThatAreTwiceAtEveryLevel(t *testing.T) {
	const levels = 200
	s, want := "1", "1"
	for range levels {
		s, want = `{"a":0,"b":`+s+`,"a":2}`, `{"a":2,"b":`+want+`}`
	}
	for _, sql := range []string{"SELECT b AS x FROM 't'", "SELECT * AS x FROM 't'", "SELECT *, 1 AS x FROM 't'"} {
		got := evaluate(t, sql, "2016-03-23", `{"b":`+s+`}`)
		if !strings.Contains(string(got.Payload), want) {
			t.Errorf("%s gives %s", sql, got.Payload)
		}
	}
}

func TestStringsOfEveryLength(t *testing.T) {
	for length := range 20 {
		for at := range length + 1 {
			for _, special := range []string{"", `"`, `\"`, `\\`, `\`, "\x1f", "\x00", "\x7f", "é", "\xe9", `\u00e9`, `\u00e`, "😀", "\xf0\x9f"} {
				s := `{"k":"` + strings.Repeat("x", at) + special + strings.Repeat("x", length-at) + `"}`
				want := json.Valid([]byte(s)) && utf8.ValidString(s)
				if got := isJSON(s); got != want {
					t.Fatalf("isJSON(%q) is %t", s, got)
				}
				if !want {
					continue
				}
				var v map[string]string
				if err := json.Unmarshal([]byte(s), &v); err != nil {
					t.Fatal(err)
				}
				got := evaluate(t, "SELECT k, {'k': k} AS o, * AS p FROM 't'", "2016-03-23", s)
				var out struct {
					K    string
					O, P map[string]string
				}
				if err := json.Unmarshal(got.Payload, &out); err != nil || out.K != v["k"] || out.O["k"] != v["k"] || out.P["k"] != v["k"] {
					t.Fatalf("%q gives %q: %v", s, got.Payload, err)
				}
			}
		}
	}
}
