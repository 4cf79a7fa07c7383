"""HTTP/1.1 connections: strict and bounded reading of requests, limits, timeouts, and errors before the application."""
