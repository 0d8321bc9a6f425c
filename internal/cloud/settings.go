package cloud

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// settings are what a function's environment says.
type settings struct {
	latest, connections, history string
	keep                         time.Duration
	region                       string
	apiID, stage                 string
	endpoint                     string // given, not built of apiID; "" when it is not
	function                     string
}

func readSettings(getenv func(string) string) (settings, error) {
	s := settings{
		latest:      cmp.Or(getenv("DDB_TABLE"), "IoTDeviceData"),
		connections: cmp.Or(getenv("CONNECTIONS_TABLE"), "WebsocketConnections"),
		history:     getenv("HISTORY_TABLE"),
		region:      cmp.Or(getenv("AWS_REGION"), "us-east-1"),
		apiID:       getenv("WEBSOCKET_API_ID"),
		stage:       cmp.Or(getenv("WEBSOCKET_STAGE"), "prod"),
		endpoint:    cmp.Or(getenv("WEBSOCKET_ENDPOINT"), getenv("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI")),
		function:    getenv("AWS_LAMBDA_FUNCTION_NAME"),
	}
	if text := getenv("HISTORY_DAYS"); text != "" {
		days, err := strconv.Atoi(text)
		if err != nil || days < 0 || days > 36_500 {
			return s, fmt.Errorf("HISTORY_DAYS=%s is no number of days (0 keeps history for ever): %w", text, iot.ErrInvalid)
		}
		s.keep = time.Duration(days) * 24 * time.Hour
	}
	return s, nil
}

// connectionsURL is what stands before /@connections for an API and its stage,
// "" when there is none.
func (s *settings) connectionsURL(apiID, stage string) string {
	if s.endpoint != "" || apiID == "" {
		return s.endpoint
	}
	return fmt.Sprintf("https://%s.execute-api.%s.amazonaws.com/%s", apiID, s.region, stage)
}
