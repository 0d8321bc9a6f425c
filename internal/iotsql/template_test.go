package iotsql

import (
	"errors"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestTemplates(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"plain", "plain"},
		{"", ""},
		{"${topic()}/republish", "site/7/line/republish"},
		{"$$aws/things/${topic(2)}/shadow/update", "$$aws/things/7/shadow/update"},
		{"${a}${b.c}", "1x"},
		{"[${missing}]", "[]"},
		{"${NULL}", ""},
		{"${b}", `{"c":"x"}`},
		{"${ '}' + a }", "}1"},
		{"${{'k': a}.k}", "1"},
		{"$ {a} $", "$ {a} $"},
		{"${replace(topic(), '/', '-') + '-' + timestamp()}", "site-7-line-1700000000123"},
	} {
		tmpl, err := ParseTemplate(c.text, "2016-03-23")
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got, err := tmpl.Expand(testEnv(`{"a":1.0,"b":{"c":"x"}}`)); err != nil || got != c.want {
			t.Errorf("%s expands to %q, %v; want %q", c.text, got, err, c.want)
		}
	}
}

func TestTemplatesOfAStatementSeeItsVariables(t *testing.T) {
	s, err := Parse("SET @twice = a * 2 SELECT b AS hidden FROM 't'", "2016-03-23")
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := s.Template("${@twice}/${hidden}/${c}/${b}")
	if err != nil {
		t.Fatal(err)
	}
	got, err := tmpl.Expand(testEnv(`{"a":4,"b":"B","c":"C"}`))
	if want := "8//C/B"; err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func TestTemplateErrors(t *testing.T) {
	for _, c := range []struct {
		text   string
		offset int
	}{
		{"a/${", 4}, {"a/${}", 4}, {"a/${b", 5}, {"a/${b c}", 6}, {"${a}/${1 +}", 10}, {"${@x}", 2}, {"${nosuchfn()}", 2},
	} {
		_, err := ParseTemplate(c.text, "")
		if syn, ok := errors.AsType[*SyntaxError](err); !ok || syn.Offset != c.offset {
			t.Errorf("%s: %v; want at %d", c.text, err, c.offset)
		}
	}
	if _, err := ParseTemplate("x${get_secret('a', 'b', 'c')}", ""); !errors.Is(err, iot.ErrUnsupported) {
		t.Error(err)
	}
}
