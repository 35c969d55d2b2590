"""What differs between the lines of ERPNext, each behind the same small interface (`interface.Dialect`)."""
