"""Backups in any store that speaks S3. The only package that imports boto3."""
