package iotsql

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestNumericFunctions(t *testing.T) {
	checkValues(t, both, []valueCase{
		{"abs(-3)", "", "3"},
		{"abs('-2.5')", "", "2.5"},
		{"abs(true)", "", undefined},
		{"abs(NULL)", "", undefined},
		{"abs(a)", `{"a":-12345678901234567890}`, "12345678901234567890"},
		{"abs()", "", undefined},
		{"abs(1, 2)", "", undefined},
		{"round(1.5)", "", "2"},
		{"round(-1.5)", "", "-2"},
		{"Round(-1.1)", "", "-1"},
		{"round('2.5')", "", "3"},
		{"round(1E40)", "", "1E40"},
		{"round(0.4)", "", "0"},
		{"round(-12345678901234567890.5)", "", "-12345678901234567891"},
		{"floor(1.2)", "", "1"},
		{"floor(-1.2)", "", "-2"},
		{"floor(l)", `{"l":[1]}`, undefined},
		{"ceil(1.2)", "", "2"},
		{"ceil(-1.2)", "", "-1"},
		{"ceil(5)", "", "5"},
		{"sign(-7)", "", "-1"},
		{"sign(0)", "", "0"},
		{"sign(1E30)", "", "1"},
		{"sign('x')", "", undefined},
		{"trunc(2.888, 2)", "", "2.88"},
		{"trunc(-2.888, 1.9)", "", "-2.8"},
		{"trunc(7, 3)", "", "7"},
		{"trunc(2.5, -3)", "", "2"},
		{"trunc(2.5, 'x')", "", undefined},
		{"trunc(2.10, 2)", "", "2.1"},
		{"mod(8, 3)", "", "2"},
		{"remainder('8', 3)", "", "2"},
		{"mod(1, 0)", "", undefined},
		{"bitand(13, 5)", "", "5"},
		{"bitor(8, 5.9)", "", "13"},
		{"bitxor('13', 5)", "", "8"},
		{"bitand(12345678901234567890, 255)", "", "210"},
		{"bitor(1E30, 1)", "", "1000000000000000000000000000001"},
		{"bitxor(-12345678901234567890, 1)", "", "-12345678901234567889"},
		{"bitand(1, 1E40)", "", undefined},
		{"bitor(true, 1)", "", undefined},
		{"nanvl(missing, 3)", "", "3"},
		{"nanvl(NULL, 3)", "", "3"},
		{"nanvl('x', 3)", "", `"x"`},
		{"rand() >= 0 AND rand() < 1", "", "true"},
	})
}

func TestDoubleFunctions(t *testing.T) {
	checkValues(t, "2016-03-23", []valueCase{
		{"acos(0)", "", "1.5707963267948966"},
		{"acos(2)", "", undefined},
		{"asin(0)", "", "0"},
		{"atan('0')", "", "0"},
		{"cos(0)", "", "1"},
		{"sin(0)", "", "0"},
		{"cosh(0)", "", "1"},
		{"sinh(0)", "", "0"},
		{"tanh(0)", "", "0"},
		{"tan(0)", "", "0"},
		{"exp(0)", "", "1"},
		{"exp(1000)", "", undefined},
		{"ln(1)", "", "0"},
		{"ln(-1)", "", undefined},
		{"ln(0)", "", undefined},
		{"log(100)", "", "2"},
		{"sqrt(9)", "", "3"},
		{"sqrt(-1)", "", undefined},
		{"sqrt(NULL)", "", undefined},
		{"atan2(1, 0)", "", "1.5707963267948966"},
		{"power(2, '5')", "", "32"},
		{"power(2, [1])", "", undefined},
	})
}

func TestTextFunctions(t *testing.T) {
	checkValues(t, "2016-03-23", []valueCase{
		{"lower('ÀB')", "", `"àb"`},
		{"upper(['hello'])", "", `"[\"HELLO\"]"`},
		{"upper(NULL)", "", undefined},
		{"lower(true)", "", `"true"`},
		{"trim('\t hi ')", "", `"hi"`},
		{"trim(' h\n') = ltrim(rtrim(' h\n'))", "", "true"},
		{"ltrim(' h ')", "", `"h "`},
		{"rtrim(' h ')", "", `" h"`},
		{"length('é€😀')", "", "3"},
		{"length(false)", "", "5"},
		{"length(missing)", "", undefined},
		{"numbytes('€')", "", "3"},
		{"substring('012345', 2)", "", `"2345"`},
		{"substring('012345', 2.745, 4)", "", `"23"`},
		{"substring(true, 1.2)", "", `"rue"`},
		{"substring('abc', -2.4E247)", "", `"abc"`},
		{"substring('é€x', 1, 99)", "", `"€x"`},
		{"substring('abc', 2, 1)", "", `""`},
		{"substring('abc', 9)", "", `""`},
		{"substring('abc', 'x')", "", undefined},
		{"substring('abc', 0, NULL)", "", undefined},
		{"indexof('é€b', 'b')", "", "2"},
		{"indexof('abc', NULL)", "", undefined},
		{"replace('abcab', 'b', 'x')", "", `"axcax"`},
		{"replace('a', NULL, 'x')", "", undefined},
		{"replace('ab', '', '-')", "", `"-a-b-"`},
		{"lpad('hi', 2)", "", `"  hi"`},
		{"rpad(1, '2.9')", "", `"1  "`},
		{"lpad('x', -1)", "", `"x"`},
		{"lpad('x', true)", "", undefined},
		{"length(rpad('', 5000))", "", "1000"},
		{"startswith('ranger', 'ran')", "", "true"},
		{"endswith('cat', 'at')", "", "true"},
		{"endswith(missing, 'a')", "", undefined},
		{"chr(65.9)", "", `"A"`},
		{"chr('233')", "", `"é"`},
		{"chr(-1)", "", undefined},
		{"chr(55296)", "", undefined},
		{"chr(1E30)", "", undefined},
		{"concat('he', 'is', 1)", "", `"heis1"`},
		{"concat(['a'], 'b', [1])", "", `["a","b",1]`},
		{"concat()", "", undefined},
		{"concat(1, 2)", "", undefined},
		{"concat('a', missing)", "", undefined},
	})
}

func TestHashesAndEncodings(t *testing.T) {
	checkValues(t, "2016-03-23", []valueCase{
		{"md2('')", "", `"8350e5a3e24c153df2275c9f80692773"`},
		{"md2('abcdefghijklmnopqrstuvwxyz')", "", `"4e8ddff3650292ab5a4108c3aa47940b"`},
		{"md5(123)", "", `"202cb962ac59075b964b07152d234b70"`},
		{"sha1('hello')", "", `"aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"`},
		{"length(sha224('')) + length(sha256('')) + length(sha384('')) + length(sha512(''))", "", "344"},
		{"md5(missing)", "", undefined},
		{"md2(NULL)", "", undefined},
		{"encode(*, 'base64')", `{"a": 5.0}`, `"eyJhIjogNS4wfQ=="`},
		{"encode(a, 'base64')", `{"a":"hi"}`, `"aGk="`},
		{"encode(a, 'base64')", `{"a":{"b": 1}}`, `"eyJiIjoxfQ=="`},
		{"encode(a, 'hex')", `{"a":"hi"}`, undefined},
		{"decode('!!', 'base64')", "", "null"},
		{"decode('eyJ0IjoxfQ==', 'base64').t", "", "1"},
		{"decode('aGk=', 'base64')", "", `"hi"`},
		{"decode('/w==', 'base64')", "", "\"\ufffd\""},
		{"decode(encode(*, 'base64'), 'base64') > 50", "80", "true"},
		{"decode(missing, 'base64')", "", undefined},
	})
}

func TestCollectionFunctions(t *testing.T) {
	const payload = `{"o":{"k":1,"a b":2},"l":[10,20],"s":"héy"}`
	checkValues(t, "2016-03-23", []valueCase{
		{"get(o, 'a b')", payload, "2"},
		{"get(o, 1)", payload, undefined},
		{"get(o, 'x')", payload, undefined},
		{"get(l, 0)", payload, "10"},
		{"get(l, '1')", payload, "20"},
		{"get(l, 0.6)", payload, "20"},
		{"get(l, 2)", payload, undefined},
		{"get(l, -1)", payload, undefined},
		{"get(l, 'x')", payload, undefined},
		{"get(s, 1)", payload, `"é"`},
		{"get(s, 3)", payload, undefined},
		{"get(s, -1)", payload, undefined},
		{"get(1, 0)", payload, undefined},
		{"get_or_default(missing, 'd')", "", `"d"`},
		{"get_or_default(NULL, 1)", "", "1"},
		{"get_or_default(0, 1)", "", "0"},
		{"get_or_default(missing)", "", undefined},
		{"get_or_default(a > 1 AND b > 2, false)", `{"a":2}`, "false"},
		{"isNull(NULL)", "", "true"},
		{"isNull(missing)", "", "false"},
		{"isUndefined(missing)", "", "true"},
		{"isUndefined(NULL)", "", "false"},
		{"transform('enrichArray', {'k': 1}, l)", `{"l":[{"a":1},2]}`, `[{"a":1,"k":1},2]`},
		{"transform('enrichArray', (SELECT k FROM o), (SELECT VALUE l FROM *))", `{"o":{"k":1},"l":[{"a":1},{"k":2}]}`, `[{"a":1,"k":1},{"k":1}]`},
		{"transform('other', {'k': 1}, l)", `{"l":[{"a":1}]}`, undefined},
		{"transform('enrichArray', 1, l)", payload, undefined},
	})
}

func TestCast(t *testing.T) {
	checkValues(t, "2016-03-23", []valueCase{
		{"cast(7 AS Text)", "", `"7"`},
		{"cast([1] AS String)", "", `"[1]"`},
		{"cast(NULL AS String)", "", undefined},
		{"cast(3.7 AS Int)", "", "3"},
		{"cast(-3.2 AS integer)", "", "-4"},
		{"cast('3.7' AS Int)", "", "3"},
		{"cast(true AS Int)", "", "1"},
		{"cast(false AS Decimal)", "", "0"},
		{"cast('5E-1' AS Double)", "", "0.5"},
		{"cast('5E+1' AS Double)", "", undefined},
		{"cast('1E99999999999' AS Double)", "", undefined},
		{"cast(' 1' AS Int)", "", undefined},
		{"cast('.5' AS Double)", "", undefined},
		{"cast(0 AS Bool)", "", "false"},
		{"cast('TRUE' AS Boolean)", "", "true"},
		{"cast('yes' AS Boolean)", "", undefined},
		{"cast([1] AS Int)", "", undefined},
		{"cast(missing AS Int)", "", undefined},
	})
}

func TestContextFunctions(t *testing.T) {
	checkValues(t, "2016-03-23", []valueCase{
		{"topic()", "", `"site/7/line"`},
		{"topic(2)", "", `"7"`},
		{"topic(4)", "", undefined},
		{"topic(0)", "", undefined},
		{"topic('x')", "", undefined},
		{"timestamp()", "", "1700000000123"},
		{"clientid()", "", `"MyDevice001"`},
		{"principal()", "", `"abc123"`},
		{"accountid()", "", `"123456789012"`},
		{"sourceip()", "", `"192.0.2.10"`},
		{"sql_version()", "", `"2016-03-23"`},
		{"newuuid()", "", `"6b0e1c9e-0000-4000-8000-000000000001"`},
		{"get_mqtt_property('content_type')", "", undefined},
		{"get_user_properties()", "", undefined},
	})
	if got := selectValue(t, "sql_version()", "", "{}"); got != `"2015-10-08"` {
		t.Error("without a version:", got)
	}
}

func TestContextOfOtherMessages(t *testing.T) {
	utf8 := byte(1)
	env := &Env{Message: &iot.Message{Topic: "$aws/rules/myRule/a/b", Properties: &iot.Properties{
		PayloadFormat: &utf8, ContentType: "text/plain", ResponseTopic: "r/t", CorrelationData: []byte("cid"),
		User: []iot.UserProperty{{Key: "k", Value: "1"}, {Key: "o", Value: "2"}, {Key: "k", Value: "3"}},
	}}}
	s, err := Parse(`SELECT topic(), clientid(), principal(), sourceip(), get_mqtt_property('content_type') AS c,
		get_mqtt_property('format_indicator') AS f, get_mqtt_property('response_topic') AS r,
		get_mqtt_property('correlation_data') AS d, get_mqtt_property('other') AS x, get_user_properties('k') AS k,
		get_user_properties() AS u, get_user_properties('none') AS n`, "2016-03-23")
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Eval(env)
	want := `{"topic":"a/b","clientid":"n/a","c":"text/plain","f":"UTF8_DATA","r":"r/t","d":"Y2lk","k":["1","3"],"u":[{"k":"1"},{"o":"2"},{"k":"3"}]}`
	if err != nil || string(got.Payload) != want {
		t.Errorf("%s, %v; want %s", got.Payload, err, want)
	}
	env.Message.Origin.Source = netip.Addr{}
	*env.Message.Properties.PayloadFormat = 0
	if s, err = Parse("SELECT newuuid() AS id, get_mqtt_property('format_indicator') AS f", ""); err != nil {
		t.Fatal(err)
	}
	got, err = s.Eval(env)
	form := regexp.MustCompile(`^\{"id":"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}","f":"UNSPECIFIED_BYTES"\}$`)
	if err != nil || !form.Match(got.Payload) {
		t.Errorf("%s, %v", got.Payload, err)
	}
}

// TestFunctionTables holds what lookup relies on: names are in lower case, each
// there once, and none is refused as well.
func TestFunctionTables(t *testing.T) {
	seen := map[string]bool{}
	for _, table := range functionTables() {
		for _, f := range table {
			if f.name != strings.ToLower(f.name) || seen[f.name] || unsupported(f.name) || (f.eval == nil) == (f.preparation == nil) {
				t.Errorf("%s is in the tables wrongly", f.name)
			}
			seen[f.name] = true
			if _, ok := lookup(f.name); !ok {
				t.Errorf("%s is not found", f.name)
			}
		}
	}
}
