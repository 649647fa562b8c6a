//! The one table from what went wrong to a status; every body is `{"message": …}` with Docker's sentence.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use wharf_api::system::ErrorResponse;
use wharf_engine::Error;

use crate::body::{self, Body};

/// An answer that is an error.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    message: String,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    /// Plain text, for clients that are too old for JSON.
    Text,
    /// The text ends a connection that was to become a stream.
    Stream,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Failure {
        Failure { status, message: message.into(), form: Form::Json }
    }

    /// 400.
    pub(crate) fn bad(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 as plain text.
    pub(crate) fn text(message: String) -> Failure {
        Failure { status: StatusCode::BAD_REQUEST, message, form: Form::Text }
    }

    /// 500, for numbers that are none: Docker does not classify the errors of Go's `strconv`.
    pub(crate) fn internal(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// 404 of the router.
    pub(crate) fn no_such_page() -> Failure {
        Failure::new(StatusCode::NOT_FOUND, "page not found")
    }

    /// As an attach says it: Docker has taken the socket by then.
    pub(crate) fn on_stream(self) -> Failure {
        Failure { form: Form::Stream, ..self }
    }

    #[cfg(test)]
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = match self.form {
            Form::Json => {
                let document = ErrorResponse { message: self.message };
                return body::json(self.status, &document);
            }
            Form::Text => {
                let mut response = Response::new(Body::from(Bytes::from(self.message + "\n")));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
                response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
                response
            }
            Form::Stream => {
                let mut response = Response::new(Body::from(Bytes::from(self.message + "\r\n")));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(body::RAW_STREAM));
                response.headers_mut().insert(hyper::header::CONNECTION, HeaderValue::from_static("close"));
                response
            }
        };
        *response.status_mut() = self.status;
        response
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let status = match &error {
            Error::NotModified => StatusCode::NOT_MODIFIED,
            Error::InvalidParameter(_) | Error::Program { .. } => StatusCode::BAD_REQUEST,
            Error::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::System(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Error::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Failure::new(status, error.to_string())
    }
}
