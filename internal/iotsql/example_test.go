package iotsql_test

import (
	"errors"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/iotsql"
)

func ExampleParse_syntaxError() {
	_, err := iotsql.Parse("SELECT temperature FORM 'sensor/data'", "2016-03-23")
	if syn, ok := errors.AsType[*iotsql.SyntaxError](err); ok {
		fmt.Println(syn)
		fmt.Println(syn.Caret())
	}
	// Output:
	// at 19: expected FROM, WHERE or the end of the statement, found "FORM"
	// SELECT temperature FORM 'sensor/data'
	//                    ^
}

func ExampleStatement_Eval() {
	stmt, err := iotsql.Parse("SELECT device_id, temperature * 9 / 5 + 32 AS fahrenheit FROM 'sensor/+' WHERE temperature > 30", "2016-03-23")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, payload := range []string{
		`{"device_id": "MyDevice001", "temperature": 36.5}`,
		`{"device_id": "MyDevice002", "temperature": 21}`,
	} {
		got, err := stmt.Eval(&iotsql.Env{Message: &iot.Message{Topic: "sensor/data", Payload: []byte(payload)}})
		fmt.Println(got.Fired, string(got.Payload), err)
	}
	// Output:
	// true {"device_id":"MyDevice001","fahrenheit":97.7} <nil>
	// false  <nil>
}
