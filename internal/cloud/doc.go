// Package cloud assembles the guide's functions as AWS Lambdas: the functions of
// telemetry over the tables of dynamo and the @connections of apigw.
//
// A function reads the guide's environment, with its defaults:
//
//	DDB_TABLE          IoTDeviceData
//	CONNECTIONS_TABLE  WebsocketConnections
//	WEBSOCKET_API_ID   the id of IoTWebsocketAPI; without it nothing is broadcast
//	WEBSOCKET_STAGE    prod
//	AWS_REGION         us-east-1; AWS sets it
//
// and, beyond the guide:
//
//	HISTORY_TABLE      the table of history; without it none is kept
//	HISTORY_DAYS       how long; without it for ever
//	WEBSOCKET_ENDPOINT what stands before /@connections; else
//	                   AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI, else the URL that
//	                   id, region and stage give
//
// Everything else (credentials, endpoints, proxies) is read by AWS's SDK. A
// function logs JSON lines with the request id, and metrics in CloudWatch's
// embedded format, to its standard output.
package cloud
