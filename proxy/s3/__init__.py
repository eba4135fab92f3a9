"""The one room that speaks S3, through aiobotocore."""
