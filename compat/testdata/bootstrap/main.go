// Program bootstrap is a Lambda function on the Runtime API alone, without AWS's
// library: it greets, fails, hangs or crashes as its event says.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(api + "next")
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		event, _ := io.ReadAll(next.Body)
		var in struct{ Do, Name string }
		_ = json.Unmarshal(event, &in)
		answer, _ := json.Marshal(map[string]string{
			"said": os.Getenv("GREETING") + " " + in.Name, "endpoint": os.Getenv("AWS_ENDPOINT_URL"),
		})
		verdict := "/response"
		switch in.Do {
		case "crash":
			os.Exit(3)
		case "hang":
			time.Sleep(time.Hour)
		case "fail":
			verdict, answer = "/error", []byte(`{"errorMessage":"refused","errorType":"Refused"}`)
		}
		fmt.Println("greeted", in.Name)
		id := next.Header.Get("Lambda-Runtime-Aws-Request-Id")
		if _, err := http.Post(api+id+verdict, "application/json", strings.NewReader(string(answer))); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}
